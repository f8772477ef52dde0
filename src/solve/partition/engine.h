/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engines behind ga_part_solve(), each with a door of its own, so that tests can hold them
 * against each other. All want 2 ≤ size < count. Those that allocate return false when they cannot.
 */
#ifndef GA_SOLVE_PARTITION_ENGINE_H
#define GA_SOLVE_PARTITION_ENGINE_H

#include "partition.h"

/* Above every value and below none, with room to add a few; likewise for prices. */
#define GA_PART_UNBOUNDED (INT64_MAX / 4)
#define GA_PART_INFINITE 1e18
/* Less than any partition is worth. */
enum { GA_PART_NOTHING = -1 };
/* A vertex that is in no group yet; memset() writes it with the byte. */
enum { GA_PART_NO_GROUP = UINT16_MAX, GA_PART_NO_GROUP_BYTE = 0xff };

static inline int64_t ga_part_pairs(size_t count)
{
	return (int64_t)(count * (count - 1) / 2);
}

static inline int32_t ga_part_weight(const struct ga_part_problem *problem, size_t a, size_t b)
{
	return problem->weights[a * problem->count + b];
}

int64_t ga_part_value(const struct ga_part_problem *problem, const uint16_t *group);
/* Numbers the groups in the order of their first vertex. */
void ga_part_number(const struct ga_part_problem *problem, uint16_t *group);

/* ---- all subsets, the lowest vertex's group first: subsets.c ---- */

enum { GA_PART_SUBSETS_MAX = 20, GA_PART_SUBSETS_TINY = 8 };

/* How many transitions it will take, known beforehand; GA_PART_TOO_MANY where the table would not
   fit. */
#define GA_PART_TOO_MANY UINT64_MAX
uint64_t ga_part_subsets_cost(size_t count, size_t size);
bool ga_part_by_subsets(const struct ga_part_problem *problem, struct ga_part_result *partition);

/* ---- exchanging vertices between groups: swap.c ---- */

/*
 * A good partition; ends at once where it reaches bound. Where it does not, it goes on from the
 * best that was found, until so many pairs of vertices were looked at. Value, group and transitions
 * are set.
 */
bool ga_part_by_swaps(const struct ga_part_problem *problem, int64_t bound, uint64_t looks,
		      struct ga_part_result *partition);

/* ---- branch and bound over classes of vertices: search.c ---- */

enum { GA_PART_SEARCH_MAX = 255 }; /* a count of vertices is a byte */

/*
 * Every vertex is a class of its own where alike is false. Where the budget ends first, the best
 * partition that swaps found, and proven is false.
 */
bool ga_part_by_search(const struct ga_part_problem *problem, bool alike,
		       struct ga_part_result *partition);

#endif
