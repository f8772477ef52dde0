/* SPDX-License-Identifier: Apache-2.0 */
/* The legend of a picture: what its lines and boxes mean, and only those that are in it. */
#include "open.h"
#include "svg.h"

enum { LEGEND_LINE = 22, LEGEND_SAMPLE = 30, LEGEND_SPACE = 22 };

struct legend {
	struct ga_buffer *out;
	const struct layout *layout;
	int x, y;
};

/* Makes room for an entry; it goes to the next line if it does not fit into this one. */
static void begin_entry(struct legend *legend, int width)
{
	if (legend->x > LAYOUT_MARGIN &&
	    legend->x + width > legend->layout->width - LAYOUT_MARGIN) {
		legend->x = LAYOUT_MARGIN;
		legend->y += LEGEND_LINE;
	}
}

static void end_entry(struct legend *legend, const char *words, int sample)
{
	svg_text(legend->out, legend->x + sample, legend->y + 4, "muted", words);
	legend->x += sample + svg_width_of(words, 12) + LEGEND_SPACE;
}

static void add_line_entry(struct legend *legend, const struct scale *scale, int count,
			   const char *what)
{
	ga_auto_buffer struct ga_buffer words = GA_BUFFER_OUTPUT;

	add_count(&words, (size_t)count, "NVLink");
	ga_buffer_text(&words, what);
	if (words.failed) {
		legend->out->failed = true;
		return;
	}
	begin_entry(legend, LEGEND_SAMPLE + svg_width_of(words.data, 12));
	ga_buffer_format(legend->out, "<path d=\"M%d %dh22\"", legend->x, legend->y);
	svg_link_style(legend->out, scale, count);
	end_entry(legend, words.data, LEGEND_SAMPLE);
}

static void add_box_entry(struct legend *legend, const char *class, const char *words)
{
	struct rect sample = {.width = 22, .height = 12};

	begin_entry(legend, LEGEND_SAMPLE + svg_width_of(words, 12));
	sample.x = legend->x;
	sample.y = legend->y - 6;
	svg_rect(legend->out, &sample, 3, class);
	end_entry(legend, words, LEGEND_SAMPLE);
}

/* The levels between GPUs of one NUMA node but no common switch, or those of different nodes. */
static void add_levels(struct ga_buffer *words, const struct groups *groups, bool same_node,
		       const char *where)
{
	bool seen[GPUALLOC_LEVEL_SELF + 1] = {false}, any = false;

	for (size_t i = 0; i < groups->count; i++)
		for (size_t j = i + 1; j < groups->count; j++)
			if ((groups->node[i] == groups->node[j]) == same_node)
				seen[gpualloc_machine_level(groups->machine, i, j)] = true;
	for (int level = GPUALLOC_LEVEL_PHB; level >= GPUALLOC_LEVEL_SYS; level--) {
		if (!seen[level])
			continue;
		ga_buffer_format(words, "%s%s",
				 any           ? "/"
				 : words->size ? ", "
					       : "",
				 gpualloc_level_name((enum gpualloc_level)level));
		any = true;
	}
	if (any)
		ga_buffer_text(words, where);
}

static void add_levels_entry(struct legend *legend)
{
	const struct groups *groups = &legend->layout->groups;
	ga_auto_buffer struct ga_buffer words = GA_BUFFER_OUTPUT;

	add_levels(&words, groups, true, " within a NUMA node");
	add_levels(&words, groups, false, " between NUMA nodes");
	legend->out->failed = legend->out->failed || words.failed;
	if (!words.data)
		return;
	begin_entry(legend, svg_width_of(words.data, 12));
	end_entry(legend, words.data, 0);
}

int svg_legend(struct ga_buffer *out, const struct layout *layout, const struct scale *scale)
{
	struct legend legend = {out, layout, LAYOUT_MARGIN, layout->bottom};
	bool on_fabric[NVLINKS_MAX + 1] = {false};

	for (size_t i = 0; i < layout->groups.count; i++)
		on_fabric[fabric_links(&layout->groups, i) % (NVLINKS_MAX + 1)] = true;
	for (int count = 1; count <= NVLINKS_MAX; count++)
		if (scale->seen[count])
			add_line_entry(&legend, scale, count, "");
	for (int count = 1; count <= NVLINKS_MAX; count++)
		if (on_fabric[count])
			add_line_entry(&legend, scale, count,
				       " to the switches, so between any two");
	if (layout->has_mig)
		add_box_entry(&legend, "mig", "a MIG instance, with its profile");
	if (layout->groups.used[GROUP_BOARD])
		add_box_entry(&legend, "switch", "BOARD: on one board");
	if (layout->groups.used[GROUP_PIX])
		add_box_entry(&legend, "switch", "PIX: behind one PCIe switch");
	if (layout->groups.used[GROUP_PXB])
		add_box_entry(&legend, "switch", "PXB: behind several PCIe switches");
	if (layout->groups.used[GROUP_PHB])
		add_box_entry(&legend, "switch", "PHB: at one host bridge");
	if (layout->groups.used[GROUP_HOST])
		add_box_entry(&legend, "host", "one host");
	add_levels_entry(&legend);
	return legend.x > LAYOUT_MARGIN ? legend.y + LAYOUT_MARGIN : legend.y;
}
