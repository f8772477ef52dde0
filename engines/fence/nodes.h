/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which device nodes the administrator's fence closes, and where in the ledger the locks lie that
 * open them. A node is known by its number, which does not depend on the file: that may be made
 * later, or elsewhere once more.
 */
#ifndef FENCE_NODES_H
#define FENCE_NODES_H

#include "fence.h"
#include "kernel.h"

#include "cleanup.h"

/*
 * A node's range is that of the first level. On level k, counted from 0, it lies k strides behind
 * it: for every node, a GPU or a part of one. A lock opens a node if it has a byte in one
 * of these.
 */
#define FENCE_LEVEL_STRIDE (UINT64_C(1) << FENCE_LEVEL_BITS)

/* Nodes that are not closed, or not known. */
enum fence_gap_kind {
	FENCE_GAP_DISPLAY,  /* of a GPU with a display */
	FENCE_GAP_NO_MINOR, /* of a GPU whose minor number nobody knows */
	FENCE_GAP_NO_PCI,   /* those in /dev/dri and /dev/accel of a GPU without PCI address */
	FENCE_GAP_NO_CAPS,  /* capabilities: a GPU is in MIG mode and there is no list of them */
	FENCE_GAP_NO_MAJOR  /* capabilities: their major number is not known */
};

struct fence_gap {
	enum fence_gap_kind kind;
	const gpualloc_device *gpu; /* NULL for FENCE_GAP_NO_MAJOR */
};

struct fence_nodes {
	struct fence_node *list; /* in order of their numbers, each once */
	size_t count;
	struct fence_gap *gaps;
	size_t gap_count;
};

void fence_nodes_free(struct fence_nodes *nodes);
#define auto_fence_nodes ga_cleanup(fence_nodes_free)

/*
 * What is there to close, as root, "" for this machine, and the machine say. A node that two GPUs
 * claim, or one without a UUID, which nobody can lease, is closed to everybody: its length is 0.
 * So is that of a GPU that only the driver's files know. GPUs with a display are left out unless
 * with_displays.
 *
 * GPUALLOC_EDATA if there are more than FENCE_NODES; other failures if something is there and
 * cannot be read. The machine must outlive the nodes.
 */
int fence_nodes_find(const gpualloc_machine *machine, const char *root, bool with_displays,
		     struct fence_nodes *ret_nodes, gpualloc_error *error);

/* Writes a gap as a sentence without its full stop; like snprintf. */
int fence_gap_text(const struct fence_gap *gap, char *text, size_t size);

#endif
