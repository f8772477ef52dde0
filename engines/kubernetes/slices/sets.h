/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which sets of a machine's GPUs are worth a device of their own, and in which order a scheduler
 * that takes the first one that fits should see them. A pure function of the machine: nothing that
 * is taken or free now counts, so the order never changes under the scheduler's feet.
 */
#ifndef SLICES_SETS_H
#define SLICES_SETS_H

#include "names.h"

/* How many sets there are at most; up to nine GPUs, these are all. */
enum { SETS_MOST = 512 };

struct ranked_set {
	uint32_t members; /* a bit for each: places in the list of GPUs */
	uint32_t size;
	int64_t bandwidth; /* in MB/s, as gpualloc_machine_score() */
	int64_t value;     /* what balanced thinks of it on an idle machine */
};

struct ranked_sets {
	struct ranked_set *list; /* by size; best first for each */
	size_t count;            /* 0: all sets of a size are equally good */
	size_t *alone;           /* places of all GPUs: whom to take for one GPU, first to last */
	size_t gpus;
};

/* gpus: numbers in the machine. */
int ranked_sets_make(const gpualloc_machine *machine, const size_t *gpus, size_t count,
		     struct ranked_sets *ret_sets, gpualloc_error *error);
void ranked_sets_free(struct ranked_sets *sets);

#endif
