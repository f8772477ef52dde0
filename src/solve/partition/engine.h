/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engines behind ga_part_solve(). Each has a function of its own, so that tests can compare
 * them with each other. All of them need 2 ≤ size < count. Engines that allocate memory return
 * false if there is none.
 */
#ifndef GA_SOLVE_PARTITION_ENGINE_H
#define GA_SOLVE_PARTITION_ENGINE_H

#include "partition.h"

/* Larger than every value and every price, with room to add up a few of them. */
#define GA_PART_UNBOUNDED (INT64_MAX / 4)
#define GA_PART_INFINITE 1e18
/* Less than the value of any partition. */
enum { GA_PART_NOTHING = -1 };
/* The group of a vertex that is in no group yet. memset() with the byte writes it. */
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

/*
 * The number of transitions that it will take, which is known beforehand. GA_PART_TOO_MANY if the
 * table would not fit.
 */
#define GA_PART_TOO_MANY UINT64_MAX
uint64_t ga_part_subsets_cost(size_t count, size_t size);
bool ga_part_by_subsets(const struct ga_part_problem *problem, struct ga_part_result *partition);

/* ---- exchanging vertices between groups: swap.c ---- */

/*
 * Finds a good partition. It ends at once if it reaches bound. If not, it goes on from the best
 * partition so far until it has looked at as many pairs of vertices as looks allows. It sets value,
 * group and transitions.
 */
bool ga_part_by_swaps(const struct ga_part_problem *problem, int64_t bound, uint64_t looks,
		      struct ga_part_result *partition);

/* ---- branch and bound over classes of vertices: search.c ---- */

enum { GA_PART_SEARCH_MAX = 255 }; /* a byte holds a count of vertices */

/*
 * If alike is false, every vertex is a class of its own. If the budget ends first, the result is
 * the best partition that swaps found, and proven is false.
 */
bool ga_part_by_search(const struct ga_part_problem *problem, bool alike,
		       struct ga_part_result *partition);

#endif
