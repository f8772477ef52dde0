/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts that read `nvidia-smi topo -m` share: line.c knows what a line says, matrix.c puts
 * lines together and makes the machine, infer.c infers the PCIe levels that the text hides under
 * NVLinks. White space is never trusted to separate or to align: names and cells are recognised by
 * their content, and counted.
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
	int16_t nvlinks; /* -1 if the cell says that it does not know */
};

enum ga_topo_label {
	GA_TOPO_CPU,
	GA_TOPO_NUMA,
	GA_TOPO_GPU_NUMA,
	GA_TOPO_LABELS,
};

struct ga_topo_header {
	size_t line;
	int32_t *gpus; /* for each column from the first GPU on: its number, -1 for a NIC */
	size_t count;
	size_t before; /* words before the first GPU: NICs, or a prefix of each line */
	/* The columns after the links, in order, and where they start. */
	enum ga_topo_label labels[GA_TOPO_LABELS];
	size_t label_at[GA_TOPO_LABELS];
	size_t label_count;
};

struct ga_topo_affinity {
	struct ga_view cpus; /* size 0 if not known */
	int64_t numa;
	size_t words; /* how many there were */
};

/* A copy without escape codes, with "\n" for all line ends and a blank or tab for all that looks
 * like one. */
int ga_topo_clean(const char *text, size_t size, char **ret_text, size_t *ret_size);

/* 1 if it is the line above a matrix; the caller then frees the header. */
int ga_topo_header_read(struct ga_view line, struct ga_topo_header *ret_header);
void ga_topo_header_free(struct ga_topo_header *header);

/* Whether it is the line of a GPU: a prefix, its name, and at least one cell. */
bool ga_topo_row_find(struct ga_view line, int64_t *ret_gpu, struct ga_view *ret_cells);
/* Takes off a cell; false if none follows. Returns the digits of an NVLink cell. */
bool ga_topo_cell_next(struct ga_view *rest, struct ga_topo_cell *ret_cell,
		       struct ga_view *ret_digits);
/* The text after the cells; start is its distance from the beginning of the line. */
struct ga_topo_affinity ga_topo_affinity_read(const struct ga_topo_header *header,
					      struct ga_view tail, size_t start);

/*
 * The links that were read: cells[device][column]; each device has its own column. The machine's
 * devices already know their places.
 */
struct ga_topo_links {
	struct ga_topo_cell *const *cells;
	const size_t *own; /* the column of each device */
	size_t columns;
};

/*
 * Copies the peer-to-peer of all matrices of `topo -p2p` in a text into a machine (NULL for none),
 * by index; an incomplete matrix is not an error. 1 if there is a matrix, 0 if not, or
 * GPUALLOC_ENOMEM.
 */
int ga_topo_p2p_read(const char *text, size_t size, gpualloc_machine *machine);

/* Sets the level of each pair that has none, if it can be inferred, and marks it as inferred. */
int ga_topo_infer(const struct ga_topo_links *read, gpualloc_machine *machine);

#endif
