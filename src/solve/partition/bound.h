/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Upper bounds on the partitions of a state. There are two, and the smaller counts:
 *
 * Mates: a vertex gets at most the weights to its size - 1 best mates; half the sum over vertices,
 * less what those of the short group lose.
 *
 * Tree: weights are covered by a tree of clusters, where a pair is worth the sum of the steps of
 * all levels that have it in one cluster. On each level a partition cuts clusters into pieces and
 * puts pieces together to groups. With any price for a piece of each size, clusters that sell their
 * pieces at best and groups that buy theirs at best are a bound on the pairs within clusters (it is
 * the dual of the linear program). Without prices every cluster is cut as if it were alone; the
 * prices that ga_part_bound_tighten() finds are close to the truth. Exact trees (PCIe, NVSwitch)
 * need nothing else; other weights are covered by the smallest tree above them.
 */
#ifndef GA_SOLVE_PARTITION_BOUND_H
#define GA_SOLVE_PARTITION_BOUND_H

#include "classes.h"

enum {
	GA_PART_LEVELS_MAX = 6,
	GA_PART_JOINT_LISTS_MAX = 128,
	GA_PART_ALONE = 255, /* the cluster of a class whose vertices are clusters of their own */
	GA_PART_PRICE_SCALE = 64, /* prices are parts of a pair */
	GA_PART_PRICE_LISTS = 2,  /* none, and what was found */
};

/* Values at one list of prices, all scaled. */
struct ga_part_prices {
	int32_t *cluster;                      /* by the vertices in it, the best it can sell for */
	int32_t group[GA_PART_SEARCH_MAX + 1]; /* by its size, the best that it can buy, saved */
};

struct ga_part_level {
	int64_t step;
	uint8_t cluster[GA_PART_SEARCH_MAX]; /* of a class */
	size_t cluster_count;
	size_t largest; /* cluster, of the whole problem */
	struct ga_part_prices prices[GA_PART_PRICE_LISTS];
	double price[GA_PART_SEARCH_MAX + 1]; /* as found, of pieces by their size */
};

/* Prices of the last two levels together, where they are simple enough; joint.c. */
struct ga_part_joint {
	bool of_use;
	size_t radix, lists;
	int64_t seller[GA_PART_JOINT_LISTS_MAX]; /* by what it has, scaled */
	int64_t group[GA_PART_SEARCH_MAX + 1];
};

struct ga_part_bound {
	const struct ga_part_classes *classes;
	size_t size;      /* of a group */
	int64_t unit;     /* divides every weight */
	int64_t base;     /* what every pair is worth at least */
	bool tree, mates; /* which bounds are of use */
	bool separable; /* no two classes of what is not required share a cluster of the last level
			 */
	size_t level_count;
	struct ga_part_level levels[GA_PART_LEVELS_MAX];
	struct ga_part_joint joint;
	uint8_t order[GA_PART_SEARCH_MAX]; /* of classes: those of a cluster lie together on each
					    * level
					    */
	int32_t *tables;
	uint8_t *nearest; /* count × count: for each class all classes, best mates first */
};

bool ga_part_bound_init(struct ga_part_bound *bound, const struct ga_part_classes *classes,
			const struct ga_part_problem *problem);
void ga_part_bound_free(struct ga_part_bound *bound);

/* Of a state of total vertices. */
int64_t ga_part_bound_of(const struct ga_part_bound *bound, const uint8_t *counts, size_t total);
/* Looks for prices for this problem, for which a partition is known. */
void ga_part_bound_tighten(struct ga_part_bound *bound, const struct ga_part_problem *problem,
			   const uint16_t *group);
/* The pairs, scaled, that the last level has at most with the prices found. */
int64_t ga_part_bound_last_level(const struct ga_part_bound *bound, const uint8_t *counts,
				 size_t total);
/* By how much the tree bound with the prices found exceeds need, scaled. */
int64_t ga_part_bound_room(const struct ga_part_bound *bound, const uint8_t *counts, size_t total,
			   int64_t need);

/* Groups that take of each class of a state no less than low and no more than high. */
struct ga_part_taking {
	const uint8_t *counts, *low, *high;
	int64_t room; /* of the state */
};

/* Whether the tree bound knows nothing against such a group of size vertices. */
bool ga_part_bound_allows(const struct ga_part_bound *bound, const struct ga_part_taking *taking,
			  size_t size);
/* The same for the last two levels together, beginning at the prices of each. */
void ga_part_bound_join_levels(struct ga_part_bound *bound, const struct ga_part_problem *problem,
			       const uint16_t *group);
/* What the last two levels are worth at most; GA_PART_UNBOUNDED where that is not known. */
int64_t ga_part_bound_by_joint(const struct ga_part_bound *bound, const uint8_t *counts,
			       size_t total);
/* What all other levels are worth at most. */
int64_t ga_part_bound_but_last_level(const struct ga_part_bound *bound, const uint8_t *counts,
				     size_t total);

#endif
