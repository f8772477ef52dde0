/* SPDX-License-Identifier: Apache-2.0 */
/* The places of GPUs, boxes, lines and bars; see layout.h. */
#include "layout.h"

#include "cleanup.h"

#include <stdlib.h>

enum { PAD = 8, LABEL = 14, CAPTION = 22, BAR = 26, BAR_GAP = 32, CROSS_GAP = 84, PLAIN_GAP = 20 };
enum {
	ARC_FIRST = 20,
	ARC_STEP = 14,
	PORT_STEP = 12,
	WIDTH_LEAST = 560,
	SPINE = 22,
	MIG_WIDTH = 112
};

bool row_is_mirrored(size_t row)
{
	return row % 2 == 1;
}

void layout_free(struct layout *layout)
{
	groups_free(&layout->groups);
	free(layout->gpus);
	free(layout->boxes);
	free(layout->links);
	free(layout->bars);
}

/* ---- rows and columns ---- */

static size_t row_capacity(const struct groups *groups)
{
	size_t most = 4, nodes = 0;

	for (size_t i = 0; i < groups->group_count; i++) {
		size_t size = groups->groups[i].last - groups->groups[i].first;

		if (groups->groups[i].kind != GROUP_NUMA)
			continue;
		nodes++;
		most = size > most && size <= 8 ? size : most;
	}
	if (groups->count > 32)
		return 12;
	return groups->count > 8 || nodes == 1 ? 8 : most;
}

/* Whether position starts a row, given how many its row already has: a group that fits into a row
 * is not split. */
static bool starts_row(const struct groups *groups, size_t position, size_t filled, size_t capacity)
{
	for (size_t i = 0; i < groups->group_count; i++) {
		const struct group *group = &groups->groups[i];
		size_t size = group->last - group->first;

		if (group->first == position && size <= capacity)
			return filled + size > capacity;
	}
	return filled == capacity;
}

static void fill_rows(struct layout *layout)
{
	size_t capacity = row_capacity(&layout->groups), row = 0, column = 0;

	for (size_t p = 0; p < layout->groups.count; p++) {
		struct gpu_place *place = &layout->gpus[layout->groups.order[p]];

		if (p > 0 && starts_row(&layout->groups, p, column, capacity)) {
			row++;
			column = 0;
		}
		place->row = row;
		place->column = column++;
	}
	layout->rows = layout->groups.count > 0 ? row + 1 : 0;
}

/* ---- direct links ---- */

static bool is_direct(const struct groups *groups, size_t a, size_t b)
{
	return gpualloc_machine_link_count(groups->machine, a, b) > 0 &&
	       (groups->fabric[a] == 0 || groups->fabric[a] != groups->fabric[b]);
}

static bool collect_links(struct layout *layout)
{
	const struct groups *groups = &layout->groups;
	size_t count = 0;

	for (size_t a = 0; a < groups->count; a++)
		for (size_t b = a + 1; b < groups->count; b++)
			count += is_direct(groups, a, b);
	layout->links = calloc(count + 1, sizeof *layout->links);
	if (!layout->links)
		return false;
	for (size_t a = 0; a < groups->count; a++)
		for (size_t b = a + 1; b < groups->count; b++)
			if (is_direct(groups, a, b))
				layout->links[layout->link_count++] =
					(struct direct_link){.a = a,
							     .b = b,
							     .count = gpualloc_machine_link_count(
								     groups->machine, a, b)};
	return true;
}

int arc_height(const struct layout *layout, const struct direct_link *link)
{
	const struct gpu_place *a = &layout->gpus[link->a], *b = &layout->gpus[link->b];
	size_t span = a->column > b->column ? a->column - b->column : b->column - a->column;

	return a->row != b->row || span < 2 ? 0 : ARC_FIRST + ARC_STEP * (int)(span - 1);
}

/* ---- sizes ---- */

static void choose_sizes(struct layout *layout)
{
	size_t count = layout->groups.count, most = 0;

	layout->gpu = count <= 4    ? (struct rect){0, 0, 128, 62}
		      : count <= 8  ? (struct rect){0, 0, 112, 56}
		      : count <= 16 ? (struct rect){0, 0, 100, 50}
				    : (struct rect){0, 0, 60, 40};
	layout->gap = count <= 8 ? 22 : count <= 16 ? 12 : 8;
	for (size_t i = 0; i < count; i++) {
		const gpualloc_device *gpu = gpualloc_machine_device(layout->groups.machine, i);
		size_t instances = gpualloc_device_mig_count(gpu);

		layout->has_mig = layout->has_mig || gpualloc_device_mig_enabled(gpu);
		most = instances > most ? instances : most;
	}
	/* A line for each instance. */
	layout->mig_height = most > 0 ? (int)most * LAYOUT_MIG + 6 : 0;
	layout->gpu.height += layout->mig_height;
	if (layout->has_mig && layout->gpu.width < MIG_WIDTH)
		layout->gpu.width = MIG_WIDTH;
}

/* From the inside out, how far each kind of box reaches beyond the GPUs in it. */
static void measure_boxes(struct layout *layout)
{
	int arc = 0, inner = 0, highest = 0;

	for (size_t i = 0; i < layout->link_count; i++) {
		int height = arc_height(layout, &layout->links[i]);

		highest = height > highest ? height : highest;
	}
	for (int kind = GROUP_BOARD; kind >= GROUP_HOST; kind--) {
		if (!layout->groups.used[kind])
			continue;
		if (kind > GROUP_NUMA) {
			arc += PAD;
			inner += LABEL + 2;
		} else {
			if (kind == GROUP_NUMA)
				arc = (arc > highest + 2 ? arc : highest + 2) + CAPTION;
			else
				arc += PAD + 2;
			inner += PAD + 2;
		}
		layout->arc_side[kind] = arc;
		layout->inner_side[kind] = inner;
	}
	layout->arc_margin = arc;
	layout->inner_margin = inner;
}

/* ---- x ---- */

/* Makes room for the edges of boxes that begin or end between two GPUs. */
static int open_boxes(struct layout *layout, size_t position, bool row_starts, size_t row, int x)
{
	for (size_t i = 0; i < layout->groups.group_count; i++) {
		const struct group *group = &layout->groups.groups[i];

		if (group->first > position || group->last <= position ||
		    (group->first != position && !row_starts))
			continue;
		layout->boxes[layout->box_count++] =
			(struct group_box){.group = group, .rect = {.x = x}, .row = row};
		x += PAD;
	}
	return x;
}

static int close_boxes(struct layout *layout, size_t position, bool row_ends, size_t row, int x)
{
	for (size_t i = layout->box_count; i-- > 0;) {
		struct group_box *box = &layout->boxes[i];

		if (box->row != row)
			break;
		if (box->rect.width > 0 || (box->group->last != position + 1 && !row_ends))
			continue;
		x += PAD;
		box->rect.width = x - box->rect.x;
	}
	return x;
}

static size_t row_at(const struct layout *layout, size_t position)
{
	return layout->gpus[layout->groups.order[position]].row;
}

/* Places a row from position on, beginning at x = 0; returns the position after it. */
static size_t place_row(struct layout *layout, size_t position, int *ret_width)
{
	size_t row = row_at(layout, position), start = position;
	int x = 0;

	for (; position < layout->groups.count && row_at(layout, position) == row; position++) {
		struct rect *rect = &layout->gpus[layout->groups.order[position]].rect;
		bool last =
			position + 1 == layout->groups.count || row_at(layout, position + 1) != row;

		if (position > start)
			x += layout->gap;
		x = open_boxes(layout, position, position == start, row, x);
		*rect = layout->gpu;
		rect->x = x;
		x = close_boxes(layout, position, last, row, x + rect->width);
	}
	*ret_width = x;
	return position;
}

static void shift_row(struct layout *layout, size_t row, int by)
{
	for (size_t i = 0; i < layout->groups.count; i++)
		if (layout->gpus[i].row == row)
			layout->gpus[i].rect.x += by;
	for (size_t i = 0; i < layout->box_count; i++)
		if (layout->boxes[i].row == row)
			layout->boxes[i].rect.x += by;
}

static bool place_x(struct layout *layout)
{
	ga_auto_free int *widths = calloc(layout->rows + 1, sizeof *widths);
	int widest = WIDTH_LEAST - 2 * LAYOUT_MARGIN;
	size_t position = 0;

	if (!widths)
		return false;
	layout->left = layout->groups.fabric_count > 0 && layout->rows > 2 ? SPINE : 0;
	for (size_t row = 0; row < layout->rows; row++) {
		position = place_row(layout, position, &widths[row]);
		widest = widths[row] > widest ? widths[row] : widest;
	}
	for (size_t row = 0; row < layout->rows; row++)
		shift_row(layout, row, LAYOUT_MARGIN + layout->left + (widest - widths[row]) / 2);
	layout->width = widest + layout->left + 2 * LAYOUT_MARGIN;
	return true;
}

/* ---- y ---- */

static bool pair_has_fabric(const struct layout *layout, size_t pair, size_t fabric)
{
	for (size_t i = 0; i < layout->groups.count; i++)
		if (layout->gpus[i].row / 2 == pair && layout->groups.fabric[i] == fabric)
			return true;
	return false;
}

static bool pair_has_crossing(const struct layout *layout, size_t pair)
{
	for (size_t i = 0; i < layout->link_count; i++) {
		size_t a = layout->gpus[layout->links[i].a].row;
		size_t b = layout->gpus[layout->links[i].b].row;

		if (a != b && (a / 2 == pair || b / 2 == pair))
			return true;
	}
	return false;
}

static void place_row_y(struct layout *layout, size_t row, int y)
{
	for (size_t i = 0; i < layout->groups.count; i++)
		if (layout->gpus[i].row == row)
			layout->gpus[i].rect.y = y;
	for (size_t i = 0; i < layout->box_count; i++) {
		struct group_box *box = &layout->boxes[i];
		enum group_kind kind = box->group->kind;
		int above =
			row_is_mirrored(row) ? layout->inner_side[kind] : layout->arc_side[kind];

		if (box->row != row)
			continue;
		box->rect.y = y - above;
		box->rect.height =
			layout->gpu.height + layout->arc_side[kind] + layout->inner_side[kind];
	}
}

/* From the first to the last GPU on it in this pair of rows, or as wide as all rows if bars have to
 * be joined. */
static void add_bar(struct layout *layout, size_t pair, size_t fabric, int y)
{
	int left = layout->width, right = 0;

	for (size_t i = 0; i < layout->groups.count; i++) {
		const struct gpu_place *place = &layout->gpus[i];

		if (place->row / 2 != pair || layout->groups.fabric[i] != fabric)
			continue;
		left = place->rect.x < left ? place->rect.x : left;
		if (place->rect.x + place->rect.width > right)
			right = place->rect.x + place->rect.width;
	}
	if (layout->left)
		left = LAYOUT_MARGIN;
	layout->bars[layout->bar_count++] = (struct fabric_bar){
		.fabric = fabric, .pair = pair, .rect = {left, y, right - left, BAR}};
}

/* Places what lies between the two rows of a pair, from y on; returns where it ends. */
static int place_between(struct layout *layout, size_t pair, bool has_second, int y)
{
	bool any = false;

	for (size_t fabric = 1; fabric <= layout->groups.fabric_count; fabric++) {
		if (!pair_has_fabric(layout, pair, fabric))
			continue;
		add_bar(layout, pair, fabric, y + (any ? 10 : BAR_GAP));
		y += BAR + (any ? 10 : BAR_GAP);
		any = true;
	}
	if (!has_second)
		return y;
	if (any)
		return y + BAR_GAP;
	return y + (pair_has_crossing(layout, pair) ? CROSS_GAP : PLAIN_GAP);
}

static void place_y(struct layout *layout)
{
	int y = LAYOUT_TOP;

	for (size_t row = 0; row < layout->rows; row += 2) {
		bool has_second = row + 1 < layout->rows;

		place_row_y(layout, row, y + layout->arc_margin);
		y += layout->arc_margin + layout->gpu.height + layout->inner_margin;
		y = place_between(layout, row / 2, has_second, y);
		if (has_second) {
			place_row_y(layout, row + 1, y + layout->inner_margin);
			y += layout->arc_margin + layout->gpu.height + layout->inner_margin;
		}
		y += LAYOUT_MARGIN;
	}
	layout->bottom = y;
}

/* ---- where lines leave their GPU ---- */

struct port {
	int *x;
	bool at_top;
	long key; /* from left to right */
};

static int by_key(const void *a, const void *b)
{
	const struct port *one = a, *other = b;

	if (one->at_top != other->at_top)
		return one->at_top ? -1 : 1;
	return one->key < other->key ? -1 : one->key > other->key;
}

/* Lines on one side of a GPU must not cross there: an arc that reaches farther goes around the
 * shorter ones. */
static struct port port_of(const struct layout *layout, size_t from, size_t to, int *x)
{
	const struct gpu_place *here = &layout->gpus[from], *there = &layout->gpus[to];
	long distance = (long)there->column - (long)here->column;
	enum { FAR = 1 << 20 };

	if (here->row != there->row)
		return (struct port){x, there->row < here->row, there->rect.x};
	return (struct port){x, !row_is_mirrored(here->row),
			     distance > 0 ? FAR - distance : -FAR - distance};
}

static void spread(const struct layout *layout, size_t device, struct port *ports, size_t count)
{
	const struct rect *rect = &layout->gpus[device].rect;

	qsort(ports, count, sizeof *ports, by_key);
	for (size_t first = 0, last; first < count; first = last) {
		int step, many;

		for (last = first; last < count && ports[last].at_top == ports[first].at_top;)
			last++;
		many = (int)(last - first);
		step = many * PORT_STEP < rect->width ? PORT_STEP : rect->width / (many + 1);
		for (size_t i = first; i < last; i++)
			*ports[i].x = rect->x + rect->width / 2 +
				      (2 * (int)(i - first) - (many - 1)) * step / 2;
	}
}

static bool place_ports(struct layout *layout)
{
	ga_auto_free struct port *ports = calloc(layout->groups.count + 1, sizeof *ports);

	if (!ports)
		return false;
	for (size_t device = 0; device < layout->groups.count; device++) {
		size_t count = 0;

		for (size_t i = 0; i < layout->link_count; i++) {
			struct direct_link *link = &layout->links[i];
			bool neighbours = layout->gpus[link->a].row == layout->gpus[link->b].row &&
					  arc_height(layout, link) == 0;

			if (neighbours || (link->a != device && link->b != device))
				continue;
			ports[count++] = link->a == device
						 ? port_of(layout, device, link->b, &link->a_x)
						 : port_of(layout, device, link->a, &link->b_x);
		}
		spread(layout, device, ports, count);
	}
	return true;
}

bool layout_make(struct layout *layout, const gpualloc_machine *machine)
{
	size_t count = gpualloc_machine_device_count(machine);

	*layout = (struct layout){0};
	if (!groups_make(&layout->groups, machine))
		return false;
	layout->gpus = calloc(count + 1, sizeof *layout->gpus);
	layout->boxes =
		calloc(layout->groups.group_count + count * GROUP_KINDS + 1, sizeof *layout->boxes);
	layout->bars = calloc(count + 1, sizeof *layout->bars); /* each has its own GPU */
	if (!layout->gpus || !layout->boxes || !layout->bars)
		return false;
	fill_rows(layout);
	if (!collect_links(layout))
		return false;
	choose_sizes(layout);
	measure_boxes(layout);
	if (!place_x(layout))
		return false;
	place_y(layout);
	return place_ports(layout);
}
