/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix of `nvidia-smi topo -m` between its parts: topo_matrix_line.c knows what a line says,
 * topo_matrix.c puts lines together and makes the machine, topo_matrix_infer.c concludes the PCIe
 * levels that the text hides under NVLinks. White space is never trusted to separate or to align:
 * names and cells are known by what they are, and counted.
 */
#ifndef GA_SOURCE_TOPO_MATRIX_H
#define GA_SOURCE_TOPO_MATRIX_H

#include "machine.h"
#include "text.h"

/* GPUs and NICs. */
enum { GA_TOPO_COLUMNS_MAX = 4 * GA_DEVICES_MAX };

/* One link as it was read: a level, NVLinks (then the level is hidden), or neither. */
struct ga_topo_cell {
	uint8_t level;   /* enum gpualloc_level */
	int16_t nvlinks; /* -1 where the cell says that it does not know */
};

enum ga_topo_label {
	GA_TOPO_CPU,
	GA_TOPO_NUMA,
	GA_TOPO_GPU_NUMA,
	GA_TOPO_LABELS,
};

struct ga_topo_header {
	size_t line;
	int32_t *gpus; /* of each column, from the first GPU on: its number, -1 for a NIC */
	size_t count;
	size_t before; /* words before the first GPU: NICs, or what was put before each line */
	/* The columns behind the links, in their order, and the places where they start. */
	enum ga_topo_label labels[GA_TOPO_LABELS];
	size_t label_at[GA_TOPO_LABELS];
	size_t label_count;
};

struct ga_topo_affinity {
	struct ga_view cpus; /* size 0: not known */
	int64_t numa;
	size_t words; /* how many there were */
};

/* A copy without escape codes, line ends all "\n", whatever stands for a blank a blank or tab. */
int ga_topo_clean(const char *text, size_t size, char **ret_text, size_t *ret_size);

/* Whether it is the line above a matrix; then 1, and the header is the caller's to free. */
int ga_topo_header_read(struct ga_view line, struct ga_topo_header *ret_header);
void ga_topo_header_free(struct ga_topo_header *header);

/* Whether it is the line of a GPU: a prefix, its name, and at least one cell. */
bool ga_topo_row_find(struct ga_view line, int64_t *ret_gpu, struct ga_view *ret_cells);
/* Takes a cell off; false when what follows is none. The digits of an NVLink cell are shown. */
bool ga_topo_cell_next(struct ga_view *rest, struct ga_topo_cell *ret_cell,
		       struct ga_view *ret_digits);
/* What stands behind the cells; start is how far from the beginning of the line. */
struct ga_topo_affinity ga_topo_affinity_read(const struct ga_topo_header *header,
					      struct ga_view tail, size_t start);

/*
 * The links that were read: cells[device][column], each device having a column of its own. The
 * machine's devices know their places already.
 */
struct ga_topo_links {
	struct ga_topo_cell *const *cells;
	const size_t *own; /* the column of each device */
	size_t columns;
};

/*
 * Takes the peer-to-peer of all matrices of `topo -p2p` in a text over into a machine (NULL:
 * nowhere), by index; not one whole matrix is an error. 1 where there is one, 0, or
 * GPUALLOC_ENOMEM.
 */
int ga_topo_p2p_read(const char *text, size_t size, gpualloc_machine *machine);

/* Sets the level of each pair that has none, if anything tells, and marks it as inferred. */
int ga_topo_infer(const struct ga_topo_links *read, gpualloc_machine *machine);

#endif
