/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `gpualloc topo --svg`: the picture, drawn from a finished layout. It has its own background, so
 * that it can be read on any page, and follows the page's dark mode. It has no scripts and only the
 * system's fonts. The same machine always gives the same bytes.
 */
#include "svg.h"
#include "cleanup.h"
#include "columns.h"
#include "device.h"
#include "list.h"
#include "open.h"
#include "topo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "V100-SXM2-16GB" of "Tesla V100-SXM2-16GB": what tells models apart. */
static const char *short_name(const char *name)
{
	static const char *const makers[] = {"NVIDIA ", "Tesla ", "GeForce ", "Quadro "};

	for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
		if (strncmp(name, makers[i], strlen(makers[i])) == 0 && name[strlen(makers[i])])
			name += strlen(makers[i]);
	return name;
}

/* ---- heading ---- */

/* "8 × V100-SXM2-16GB, 1 × …": the models in the order of their first GPU. */
static void add_models(struct ga_buffer *out, const gpualloc_machine *machine)
{
	size_t count = gpualloc_machine_device_count(machine), models = 0;

	for (size_t i = 0; i < count; i++) {
		const char *name = gpualloc_device_name(gpualloc_machine_device(machine, i));
		size_t same = 0, before = 0;

		for (size_t j = 0; j < count; j++) {
			const char *other =
				gpualloc_device_name(gpualloc_machine_device(machine, j));

			if (strcmp(other ? other : "", name ? name : "") == 0) {
				same++;
				before += j < i;
			}
		}
		if (before > 0)
			continue;
		if (models++ == 3) {
			ga_buffer_text(out, ", \xe2\x80\xa6");
			return;
		}
		ga_buffer_format(out, "%s%zu \xc3\x97 ", models > 1 ? ", " : "", same);
		columns_cut(out, name ? name : "GPU of unknown model", 40);
	}
}

/* What is drawn: where everything is, and what was chosen, if anything was. */
struct picture {
	struct layout layout;
	const gpualloc_choice *choice;
};

static bool is_chosen(const struct picture *picture, const gpualloc_device *device)
{
	const gpualloc_device *chosen;

	for (size_t i = 0; picture->choice && (chosen = gpualloc_choice_device(picture->choice, i));
	     i++)
		if (chosen == device)
			return true;
	return false;
}

static void add_heading(struct ga_buffer *out, const struct picture *picture,
			const gpualloc_machine *machine)
{
	const struct layout *layout = &picture->layout;
	const char *name = gpualloc_machine_name(machine);
	const char *driver = gpualloc_machine_driver(machine);
	ga_auto_buffer struct ga_buffer title = GA_BUFFER_OUTPUT, subtitle = GA_BUFFER_OUTPUT;
	struct rect badge = {.y = 23, .width = 74, .height = 18};

	columns_cut(&title, name ? name : "a machine without a name", 40);
	add_models(&subtitle, machine);
	if (gpualloc_machine_device_count(machine) == 0)
		ga_buffer_text(&subtitle, "no GPUs");
	if (driver)
		ga_buffer_format(&subtitle, " \xc2\xb7 driver %.40s", driver);
	if (picture->choice)
		ga_buffer_format(&subtitle, " \xc2\xb7 \xe2\x9c\x93 chosen by %.40s",
				 gpualloc_choice_policy(picture->choice));
	if (title.failed || subtitle.failed) {
		out->failed = true;
		return;
	}
	svg_text(out, LAYOUT_MARGIN, 38, "title", title.data);
	ga_buffer_format(out, "<text x=\"%d\" y=\"60\" class=\"muted\">", LAYOUT_MARGIN);
	svg_cut(out, subtitle.data, (size_t)(layout->width - 2 * LAYOUT_MARGIN) * 10 / 66);
	ga_buffer_text(out, "</text>\n");
	if (!gpualloc_machine_is_simulated(machine))
		return;
	badge.x = layout->width - LAYOUT_MARGIN - badge.width;
	svg_rect(out, &badge, 9, "badge");
	svg_text(out, badge.x + badge.width / 2, badge.y + 13, "badgetext", "simulated");
}

/* ---- boxes ---- */

static const char *const box_labels[] = {
	[GROUP_PHB] = "PHB", [GROUP_PXB] = "PXB", [GROUP_PIX] = "PIX", [GROUP_BOARD] = "BOARD"};

/* With the CPUs if there is room for all of them; in the smallest boxes there never is. */
enum { CPUS_SHOWN = 16 };

static void numa_caption(struct ga_buffer *caption, const struct layout *layout,
			 const struct group *group, size_t room)
{
	const gpualloc_device *device =
		gpualloc_machine_device(layout->groups.machine, layout->groups.order[group->first]);
	const char *cpus = gpualloc_device_cpus(device);

	if (gpualloc_device_numa(device) >= 0)
		ga_buffer_format(caption, "NUMA %lld", (long long)gpualloc_device_numa(device));
	else
		ga_buffer_text(caption, "NUMA node not known");
	if (cpus && caption->data && layout->groups.count <= CPUS_SHOWN &&
	    columns_of(caption->data) + strlen(" - CPUs ") + columns_of(cpus) <= room)
		ga_buffer_format(caption, " \xc2\xb7 CPUs %s", cpus);
}

static void add_box_text(struct ga_buffer *out, const struct layout *layout,
			 const struct group_box *box)
{
	const struct rect *rect = &box->rect;
	enum group_kind kind = box->group->kind;
	bool mirrored = row_is_mirrored(box->row);
	size_t room = (size_t)(rect->width - 8) * 10 / 58;
	ga_auto_buffer struct ga_buffer label = GA_BUFFER_OUTPUT;
	int y;

	if (kind == GROUP_HOST)
		return;
	if (kind == GROUP_NUMA) {
		numa_caption(&label, layout, box->group, room);
	} else {
		ga_buffer_text(&label, box_labels[kind]);
		mirrored = !mirrored; /* on the side where no arcs are */
	}
	if (kind <= GROUP_NUMA)
		y = mirrored ? rect->y + rect->height - 7 : rect->y + 15;
	else
		y = mirrored ? rect->y + rect->height - 4 : rect->y + 11;
	ga_buffer_format(out, "<text x=\"%d\" y=\"%d\" class=\"muted small\">", rect->x + 8, y);
	out->failed = out->failed || label.failed;
	if (label.data)
		svg_cut(out, label.data, room);
	ga_buffer_text(out, "</text>\n");
}

static void add_boxes(struct ga_buffer *out, const struct layout *layout)
{
	for (size_t i = 0; i < layout->box_count; i++) {
		const struct group_box *box = &layout->boxes[i];
		enum group_kind kind = box->group->kind;

		svg_rect(out, &box->rect, kind <= GROUP_NUMA ? 12 : 10,
			 kind == GROUP_HOST   ? "host"
			 : kind == GROUP_NUMA ? "numa"
					      : "switch");
		add_box_text(out, layout, box);
	}
}

/* ---- GPUs ---- */

/* A GPU in MIG mode is not handed out; its instances are. */
static bool is_cut_up(const gpualloc_device *device)
{
	return gpualloc_device_mig_enabled(device) &&
	       gpualloc_device_state(device) == GPUALLOC_STATE_EXCLUDED;
}

/* How a device is drawn besides its word: each state has a line or a fill of its own. */
static const char *class_of(const struct picture *picture, const gpualloc_device *device)
{
	if (is_chosen(picture, device))
		return " chosen";
	if (is_cut_up(device))
		return "";
	switch (gpualloc_device_state(device)) {
	case GPUALLOC_STATE_FREE: return "";
	case GPUALLOC_STATE_LEASED: return " leased";
	case GPUALLOC_STATE_KEPT: return " kept";
	case GPUALLOC_STATE_IN_USE:
	case GPUALLOC_STATE_INTRUDER: return " used";
	case GPUALLOC_STATE_UNHEALTHY: return " sick";
	default: return " out";
	}
}

/* What is written on a device that is not free: its state, and whose it is if there is room. */
static void add_state(struct ga_buffer *words, const gpualloc_device *device, size_t room)
{
	enum gpualloc_state state = gpualloc_device_state(device);
	const char *user = list_user(device);
	const char *word = gpualloc_state_name(state);

	if (state == GPUALLOC_STATE_UNHEALTHY && !gpualloc_device_parent(device))
		word = gpualloc_health_name(gpualloc_device_health(device));
	ga_buffer_text(words, word);
	if (*user && columns_of(word) + strlen(": ") + columns_of(user) <= room)
		ga_buffer_format(words, ": %s", user);
}

static void add_title(struct ga_buffer *out, const gpualloc_device *device)
{
	ga_auto_free char *reason = device_reason(device);
	enum gpualloc_state state = gpualloc_device_state(device);

	if (state == GPUALLOC_STATE_FREE || is_cut_up(device) || !reason)
		return;
	ga_buffer_format(out, ", %s", gpualloc_state_name(state));
	if (*reason)
		ga_buffer_text(out, state == GPUALLOC_STATE_LEASED || state == GPUALLOC_STATE_KEPT
					    ? " "
					    : ": ");
	svg_escaped(out, reason);
}

/* A line for each instance: its profile, and its mark or its state. */
static void add_instance(struct ga_buffer *out, const struct picture *picture,
			 const struct rect *line, const gpualloc_device *instance)
{
	const char *profile = gpualloc_device_profile(instance);
	const char *name = profile ? profile : "MIG instance";
	const char *class = class_of(picture, instance);
	size_t room = (size_t)(line->width - 8) * 10 / 58, left;
	ga_auto_buffer struct ga_buffer words = GA_BUFFER_OUTPUT;

	ga_buffer_format(out,
			 "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"3\" "
			 "class=\"mig%s\"><title>",
			 line->x, line->y, line->width, line->height, class);
	svg_escaped(out, name);
	add_title(out, instance);
	ga_buffer_text(out, "</title></rect>\n");
	left = columns_of(name) < room ? room - columns_of(name) - 1 : 0;
	ga_buffer_format(out, "<text x=\"%d\" y=\"%d\" class=\"onmig\">", line->x + 4,
			 line->y + line->height - 3);
	svg_cut(out, name, room);
	ga_buffer_text(out, "</text>\n");
	if (is_chosen(picture, instance))
		ga_buffer_text(&words, "\xe2\x9c\x93");
	else if (*class)
		add_state(&words, instance, left);
	if (words.data && left > 0) {
		ga_buffer_format(out, "<text x=\"%d\" y=\"%d\" class=\"onmig right\">",
				 line->x + line->width - 4, line->y + line->height - 3);
		svg_cut(out, words.data, left);
		ga_buffer_text(out, "</text>\n");
	}
	out->failed = out->failed || words.failed;
}

static void add_instances(struct ga_buffer *out, const struct picture *picture,
			  const struct rect *rect, const gpualloc_device *device)
{
	struct rect line = {rect->x + 5, rect->y + rect->height - picture->layout.mig_height,
			    rect->width - 10, LAYOUT_MIG - 2};

	for (size_t i = 0; i < gpualloc_device_mig_count(device); i++) {
		add_instance(out, picture, &line, gpualloc_device_mig(device, i));
		line.y += LAYOUT_MIG;
	}
}

/* Below the number: the state if it is not free, else the model. */
static void add_words(struct ga_buffer *out, const struct picture *picture, size_t i, int y)
{
	const gpualloc_device *device = gpualloc_machine_device(picture->layout.groups.machine, i);
	const struct rect *rect = &picture->layout.gpus[i].rect;
	const char *name = gpualloc_device_name(device);
	size_t room = (size_t)(rect->width - 6) * 10 / 64;
	bool has_state = gpualloc_device_state(device) != GPUALLOC_STATE_FREE &&
			 !is_cut_up(device) && !is_chosen(picture, device);
	ga_auto_buffer struct ga_buffer words = GA_BUFFER_OUTPUT;

	if (has_state)
		add_state(&words, device, room);
	else
		ga_buffer_text(&words, name ? short_name(name) : "");
	out->failed = out->failed || words.failed;
	ga_buffer_format(out, "<text x=\"%d\" y=\"%d\" class=\"%s small middle\">",
			 rect->x + rect->width / 2, y, has_state ? "word" : "muted");
	svg_cut(out, words.data ? words.data : "", room);
	ga_buffer_text(out, "</text>\n");
}

static void add_gpu(struct ga_buffer *out, const struct picture *picture, size_t i)
{
	const struct layout *layout = &picture->layout;
	const gpualloc_device *device = gpualloc_machine_device(layout->groups.machine, i);
	const struct rect *rect = &layout->gpus[i].rect;
	const char *name = gpualloc_device_name(device);
	int middle = rect->x + rect->width / 2, body = rect->height - layout->mig_height;
	char class[32];

	(void)snprintf(class, sizeof class, "gpu%s", class_of(picture, device));
	ga_buffer_format(out, "<g id=\"gpu-%lld\"><title>GPU %lld: ",
			 (long long)gpualloc_device_index(device),
			 (long long)gpualloc_device_index(device));
	svg_escaped(out, name ? name : "model not known");
	add_title(out, device);
	ga_buffer_text(out, "</title>\n");
	svg_rect(out, rect, 9, class);
	if (is_chosen(picture, device))
		svg_text(out, rect->x + rect->width - 12, rect->y + 15, "tick", "\xe2\x9c\x93");
	ga_buffer_format(out, "<text x=\"%d\" y=\"%d\" class=\"index%s\">%lld</text>\n", middle,
			 rect->y + body / 2 + (body < 48 ? 0 : 2), body < 48 ? " less" : "",
			 (long long)gpualloc_device_index(device));
	add_words(out, picture, i, rect->y + body - 9);
	if (gpualloc_device_mig_enabled(device))
		add_instances(out, picture, rect, device);
	ga_buffer_text(out, "</g>\n");
}

/* ---- links ---- */

/* Where the number of a link goes. */
struct spot {
	int x, y;
};

static struct spot add_neighbours(struct ga_buffer *out, const struct rect *a, const struct rect *b)
{
	int from = a->x < b->x ? a->x + a->width : b->x + b->width;
	int to = a->x < b->x ? b->x : a->x, y = a->y + a->height / 2;

	ga_buffer_format(out, "<path d=\"M%d %dH%d\"", from, y, to);
	return (struct spot){(from + to) / 2, y};
}

static struct spot add_arc(struct ga_buffer *out, const struct direct_link *link,
			   const struct rect *a, bool below, int height)
{
	int y = below ? a->y + a->height : a->y, reach = below ? height : -height;

	ga_buffer_format(out, "<path d=\"M%d %dC%d %d %d %d %d %d\"", link->a_x, y, link->a_x,
			 y + reach * 4 / 3, link->b_x, y + reach * 4 / 3, link->b_x, y);
	return (struct spot){(link->a_x + link->b_x) / 2, y + reach};
}

static struct spot add_crossing(struct ga_buffer *out, const struct direct_link *link,
				const struct rect *a, const struct rect *b)
{
	int a_y = a->y < b->y ? a->y + a->height : a->y;
	int b_y = a->y < b->y ? b->y : b->y + b->height, middle = (a_y + b_y) / 2;

	ga_buffer_format(out, "<path d=\"M%d %dC%d %d %d %d %d %d\"", link->a_x, a_y, link->a_x,
			 middle, link->b_x, middle, link->b_x, b_y);
	return (struct spot){(link->a_x + link->b_x) / 2, middle};
}

static struct spot add_link(struct ga_buffer *out, const struct layout *layout,
			    const struct direct_link *link)
{
	const struct gpu_place *a = &layout->gpus[link->a], *b = &layout->gpus[link->b];
	int height = arc_height(layout, link);

	if (a->row != b->row)
		return add_crossing(out, link, &a->rect, &b->rect);
	if (height == 0)
		return add_neighbours(out, &a->rect, &b->rect);
	return add_arc(out, link, &a->rect, row_is_mirrored(a->row), height);
}

static void add_number(struct ga_buffer *out, struct spot spot, int count)
{
	int half = count > 9 ? 10 : 7;
	struct rect pill = {spot.x - half, spot.y - 7, 2 * half, 14};

	svg_rect(out, &pill, 7, "pill");
	ga_buffer_format(out, "<text x=\"%d\" y=\"%d\" class=\"number\">%d</text>\n", spot.x,
			 spot.y + 4, count);
}

/* Numbers are drawn over all lines, and only if lines differ. */
static void add_links(struct ga_buffer *out, const struct layout *layout, const struct scale *scale)
{
	ga_auto_free struct spot *spots = calloc(layout->link_count + 1, sizeof *spots);

	if (!spots) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < layout->link_count; i++) {
		spots[i] = add_link(out, layout, &layout->links[i]);
		svg_link_style(out, scale, layout->links[i].count);
	}
	for (size_t i = 0; scale->kinds > 1 && i < layout->link_count; i++)
		add_number(out, spots[i], layout->links[i].count);
}

static bool fabrics_differ(const struct groups *groups)
{
	int first = 0;

	for (size_t i = 0; i < groups->count; i++) {
		int count = fabric_links(groups, i);

		if (count > 0 && first > 0 && count != first)
			return true;
		first = first > 0 ? first : count;
	}
	return false;
}

static void add_bar(struct ga_buffer *out, const struct layout *layout,
		    const struct fabric_bar *bar, const struct scale *scale)
{
	const struct rect *rect = &bar->rect;

	for (size_t i = 0; i < layout->groups.count; i++) {
		const struct gpu_place *place = &layout->gpus[i];
		int count = fabric_links(&layout->groups, i);
		int x = place->rect.x + place->rect.width / 2;
		bool below = row_is_mirrored(place->row);
		int y = below ? place->rect.y : place->rect.y + place->rect.height;

		if (layout->groups.fabric[i] != bar->fabric || place->row / 2 != bar->pair)
			continue;
		ga_buffer_format(out, "<path d=\"M%d %dV%d\"", x, y, rect->y + rect->height / 2);
		svg_link_style(out, scale, count);
		if (!fabrics_differ(&layout->groups))
			continue; /* the legend says how many */
		ga_buffer_format(out, "<text x=\"%d\" y=\"%d\" class=\"number\">%d</text>\n",
				 x + (count > 9 ? 13 : 10),
				 below ? rect->y + rect->height + 18 : rect->y - 10, count);
	}
	svg_rect(out, rect, 8, "bar");
	svg_text(out, rect->x + rect->width / 2, rect->y + rect->height / 2 + 4, "onbar",
		 "NVSwitch");
}

static void add_bars(struct ga_buffer *out, const struct layout *layout, const struct scale *scale)
{
	for (size_t i = 0; i < layout->bar_count; i++)
		for (size_t j = i + 1; layout->left && j < layout->bar_count; j++) {
			const struct rect *a = &layout->bars[i].rect, *b = &layout->bars[j].rect;

			if (layout->bars[i].fabric != layout->bars[j].fabric)
				continue;
			ga_buffer_format(
				out, "<path d=\"M%d %dV%d\" class=\"link\" stroke-width=\"7\"/>\n",
				a->x + 4, a->y + a->height / 2, b->y + b->height / 2);
			break;
		}
	for (size_t i = 0; i < layout->bar_count; i++)
		add_bar(out, layout, &layout->bars[i], scale);
}

/* ---- the whole ---- */

static void add_picture(struct ga_buffer *out, const struct picture *picture,
			const gpualloc_machine *machine)
{
	const struct layout *layout = &picture->layout;
	struct scale scale = svg_scale(layout);
	ga_auto_buffer struct ga_buffer inside = GA_BUFFER_OUTPUT;
	struct rect card = {.x = 1, .y = 1, .width = layout->width - 2};
	int height;

	add_heading(&inside, picture, machine);
	add_boxes(&inside, layout);
	add_bars(&inside, layout, &scale);
	add_links(&inside, layout, &scale);
	for (size_t i = 0; i < layout->groups.count; i++)
		add_gpu(&inside, picture, i);
	height = svg_legend(&inside, layout, &scale);
	ga_buffer_format(
		out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
		"height=\"%d\" role=\"img\">\n<title>",
		layout->width, height, layout->width, height);
	svg_escaped(out, gpualloc_machine_name(machine) ? gpualloc_machine_name(machine) : "GPUs");
	if (gpualloc_machine_is_simulated(machine))
		ga_buffer_text(out, " (simulated)");
	ga_buffer_text(out, "</title>\n");
	svg_style(out);
	card.height = height - 2;
	svg_rect(out, &card, 14, "card");
	out->failed = out->failed || inside.failed;
	if (inside.data)
		ga_buffer_append(out, inside.data, inside.size);
	ga_buffer_text(out, "</svg>\n");
}

static void free_picture(struct picture *picture)
{
	layout_free(&picture->layout);
}

void topo_svg(struct ga_buffer *text, const gpualloc_machine *machine,
	      const gpualloc_choice *choice)
{
	ga_cleanup(free_picture) struct picture picture = {.choice = choice};

	if (layout_make(&picture.layout, machine))
		add_picture(text, &picture, machine);
	else
		text->failed = true;
}
