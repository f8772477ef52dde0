/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engines behind ga_partition_solve(), each with a door of its own, so that tests can hold them
 * against each other. All want 2 ≤ size < count. Those that allocate return false when they cannot.
 */
#ifndef GA_SOLVE_PARTITION_ENGINE_H
#define GA_SOLVE_PARTITION_ENGINE_H

#include "partition.h"

static inline int64_t ga_pairs(size_t count)
{
	return (int64_t)(count * (count - 1) / 2);
}

static inline int32_t ga_weight(const struct ga_partition_problem *problem, size_t a, size_t b)
{
	return problem->weights[a * problem->count + b];
}

int64_t ga_partition_value(const struct ga_partition_problem *problem, const uint16_t *group);
/* Numbers the groups in the order of their first device. */
void ga_partition_number(const struct ga_partition_problem *problem, uint16_t *group);

/* ---- all subsets, the lowest device's group first: partition_subsets.c ---- */

enum { GA_SUBSETS_MAX = 20, GA_SUBSETS_TINY = 8 };

/* How many transitions it will take, known beforehand. */
uint64_t ga_partition_subsets_cost(size_t count, size_t size);
bool ga_partition_by_subsets(const struct ga_partition_problem *problem,
			     struct ga_partition *partition);

/* ---- exchanging devices between groups: partition_swap.c ---- */

/*
 * A good partition; ends at once where it reaches bound. Where it does not, it goes on from the
 * best that was found, until so many pairs of devices were looked at. Value, group and transitions
 * are set.
 */
bool ga_partition_by_swaps(const struct ga_partition_problem *problem, int64_t bound,
			   uint64_t looks, struct ga_partition *partition);

/* ---- branch and bound over classes of devices: partition_search.c ---- */

enum { GA_SEARCH_MAX = 255 }; /* a count of devices is a byte */

/*
 * Every device is a class of its own where alike is false. Where the budget ends first, the best
 * partition that swaps found, and proven is false.
 */
bool ga_partition_by_search(const struct ga_partition_problem *problem, bool alike,
			    struct ga_partition *partition);

#endif
