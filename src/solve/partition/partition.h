/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the best partition of vertices into groups of one size. One full group must hold all
 * required vertices. Of all such partitions, the best has the highest total weight within groups,
 * and of equal ones it is the first in lexicographic order. The problem is NP-hard in general, but
 * quick to solve for real machines. partition.c describes how the engines share the work. This code
 * knows only weights, and nothing about machines or policies.
 */
#ifndef GA_SOLVE_PARTITION_PARTITION_H
#define GA_SOLVE_PARTITION_PARTITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The most vertices and the heaviest pair. Within these limits every sum fits in 64 bits, and 64
 * MiB of memory are enough.
 */
enum { GA_PART_MAX = 1024, GA_PART_WEIGHT_MAX = 1 << 20 };

struct ga_part_problem {
	size_t count; /* the number of vertices; their numbers are their order */
	size_t size;  /* of a group, 1 to count; one group is smaller if count is not a multiple */
	/* count × count, symmetric, 0 to GA_PART_WEIGHT_MAX, 0 on the diagonal */
	const int32_t *weights;
	const size_t *required; /* each vertex once; at most size of them */
	size_t required_count;
	uint64_t budget; /* the steps after which the search gives up its proof; 0: the default */
};

struct ga_part_result {
	/*
	 * The group of each vertex; the caller provides room for count of them. Group 0 holds
	 * vertex 0, group 1 the first vertex that is not in group 0, and so on.
	 */
	uint16_t *group;
	int64_t value;
	int64_t bound; /* no partition has a higher value; equal to value if proven */
	bool proven;
	uint64_t transitions; /* the number of groups that were tried */
};

/* Returns false if there is no memory. */
bool ga_part_solve(const struct ga_part_problem *problem, struct ga_part_result *partition);

#endif
