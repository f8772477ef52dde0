/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The best partition of vertices into groups of one size: of all partitions in which one full group
 * holds what is required, the one of highest total weight within groups, and of those the first in
 * lexicographic order. NP-hard in general and quick on real machines; see partition.c for how the
 * work is shared out. Knows weights only, neither machines nor policies.
 */
#ifndef GA_SOLVE_PARTITION_PARTITION_H
#define GA_SOLVE_PARTITION_PARTITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most vertices and the heaviest pair; with them no sum leaves 64 bits, nor 64 MiB the memory.
 */
enum { GA_PART_MAX = 1024, GA_PART_WEIGHT_MAX = 1 << 20 };

struct ga_part_problem {
	size_t count; /* of vertices; their numbers are their order */
	size_t size;  /* of a group, 1 to count; one group is smaller if it must be */
	const int32_t
		*weights; /* count × count, symmetric, 0 to GA_PART_WEIGHT_MAX, 0 on the diagonal */
	const size_t *required; /* each once, at most size */
	size_t required_count;
	uint64_t budget; /* steps before the search gives up its proof; 0: the default */
};

struct ga_part_result {
	uint16_t *group; /* of each vertex, count of them, from the caller; 0 holds vertex 0, 1 the
			    first vertex that is not in 0, and so on */
	int64_t value;
	int64_t bound; /* no partition is better; value where that is proven */
	bool proven;
	uint64_t transitions; /* groups that were tried */
};

/* False when there is no memory. */
bool ga_part_solve(const struct ga_part_problem *problem, struct ga_part_result *partition);

#endif
