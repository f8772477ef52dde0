/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where everything is in the picture of a machine, in whole units of its viewBox. Rows of GPUs come
 * in pairs: lines that join the two rows run between them, and lines within one row run on its
 * other side, so that the lower row of a pair mirrors the upper.
 */
#ifndef CLI_TOPO_LAYOUT_H
#define CLI_TOPO_LAYOUT_H

#include "groups.h"

struct rect {
	int x, y, width, height;
};

struct gpu_place {
	struct rect rect;
	size_t row, column;
};

struct group_box {
	const struct group *group;
	struct rect rect;
	size_t row;
};

/* NVLinks between two GPUs without a fabric; x says where the line begins and ends. */
struct direct_link {
	size_t a, b;
	int count;
	int a_x, b_x;
};

struct fabric_bar {
	size_t fabric, pair; /* of rows */
	struct rect rect;
};

struct layout {
	struct groups groups;
	struct gpu_place *gpus; /* by device */
	struct group_box *boxes;
	size_t box_count;
	struct direct_link *links;
	size_t link_count;
	struct fabric_bar *bars;
	size_t bar_count;
	size_t rows;
	bool has_mig;
	int mig_height;   /* the room for instances at the bottom of each GPU */
	struct rect gpu; /* the size all of them have */
	int gap;
	int arc_side[GROUP_KINDS], inner_side[GROUP_KINDS]; /* from a GPU to the edge of its box */
	int arc_margin, inner_margin;                       /* the same for the outermost */
	int left; /* the room needed to join the bars of several pairs of rows */
	int width, bottom;
};

enum { LAYOUT_MARGIN = 24, LAYOUT_TOP = 84, LAYOUT_MIG = 15 };

/* False if there is no memory. */
bool layout_make(struct layout *layout, const gpualloc_machine *machine);
void layout_free(struct layout *layout);

bool row_is_mirrored(size_t row);
/* How far the line between two GPUs of one row runs from them; 0 for neighbours. */
int arc_height(const struct layout *layout, const struct direct_link *link);

#endif
