/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For every subset of some vertices: the best bandwidth of the sets of each size within it. For
 * small graphs only, because the tables have a cell for each subset and size.
 */
#ifndef GA_SOLVE_SET_WITHIN_H
#define GA_SOLVE_SET_WITHIN_H

#include "graph.h"

enum { GA_SET_WITHIN_MAX = 16, GA_SET_WITHIN_SIZE_MAX = 6 };

struct ga_set_within {
	size_t count;     /* vertices, at most GA_SET_WITHIN_MAX */
	size_t size_most; /* the largest size; the smallest is 2 */
	int16_t *rank;    /* by size, then by subset; 0 is the best */
	int32_t *values;
	/*
	 * In MB/s, by size and rank, falling. The last value is 0, and means that there is no such
	 * set.
	 */
	int32_t *value[GA_SET_WITHIN_SIZE_MAX + 1];
	size_t rank_count[GA_SET_WITHIN_SIZE_MAX + 1];
};

/* Considers only the vertices in allowed. Returns 0 or GPUALLOC_ENOMEM. */
int ga_set_within_init(struct ga_set_within *within, const struct ga_set_graph *graph,
		       uint32_t allowed, size_t size_most);
void ga_set_within_free(struct ga_set_within *within);
#define ga_auto_set_within ga_cleanup(ga_set_within_free)

static inline size_t ga_set_within_rank(const struct ga_set_within *within, size_t size,
					uint32_t set)
{
	return (size_t)within->rank[((size - 2) << within->count) + set];
}

#endif
