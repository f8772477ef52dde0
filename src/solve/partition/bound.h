/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Upper bounds on the value of the partitions of a state. There are two kinds, and the smaller
 * result counts:
 *
 * Mates: a vertex adds at most the weights to its size - 1 best mates. The bound is half the sum of
 * this over all vertices, less what the vertices of the short group lose.
 *
 * Tree: a tree of clusters covers the weights. A pair is worth the sum of the steps of all levels
 * on which both vertices are in one cluster. On each level a partition cuts clusters into pieces
 * and makes groups of the pieces. Give each size of piece any price, let each cluster sell its
 * pieces as well as it can, and let each group buy its pieces as well as it can. What they gain
 * together is a bound on the pairs within clusters (it is the dual of the linear program). Without
 * prices, each cluster is cut as if it were alone. The prices that ga_part_bound_tighten() finds
 * give a bound close to the truth. If the weights are those of a tree (PCIe, NVSwitch), the cover
 * is exact; other weights are covered by the smallest tree above them.
 */
#ifndef GA_SOLVE_PARTITION_BOUND_H
#define GA_SOLVE_PARTITION_BOUND_H

#include "classes.h"

enum {
	GA_PART_LEVELS_MAX = 6,
	GA_PART_JOINT_LISTS_MAX = 128,
	/* the cluster of a class in which each vertex is a cluster of its own */
	GA_PART_ALONE = 255,
	GA_PART_PRICE_SCALE = 64, /* prices are multiples of 1/64 of a pair */
	GA_PART_PRICE_LISTS = 2,  /* list 0 has no prices, list 1 those that were found */
};

/* What clusters and groups gain at one list of prices, all scaled. */
struct ga_part_prices {
	/* the most that a cluster gains by selling, by its number of vertices */
	int32_t *cluster;
	/* the most that a group gains by buying, by its size */
	int32_t group[GA_PART_SEARCH_MAX + 1];
};

struct ga_part_level {
	int64_t step;
	uint8_t cluster[GA_PART_SEARCH_MAX]; /* for each class, its cluster */
	size_t cluster_count;
	size_t largest; /* the size of the largest cluster in the whole problem */
	struct ga_part_prices prices[GA_PART_PRICE_LISTS];
	double price[GA_PART_SEARCH_MAX + 1]; /* the prices as found, by the size of the piece */
};

/* What the last two levels gain together, if they are simple enough for that; see joint.c. */
struct ga_part_joint {
	bool of_use;
	size_t radix, lists;
	/* what a seller gains, by its list of counts, scaled */
	int64_t seller[GA_PART_JOINT_LISTS_MAX];
	int64_t group[GA_PART_SEARCH_MAX + 1];
};

struct ga_part_bound {
	const struct ga_part_classes *classes;
	size_t size;      /* of a full group */
	int64_t unit;     /* a number that divides every weight */
	int64_t base;     /* the least that any pair is worth */
	bool tree, mates; /* which of the bounds can be used */
	/*
	 * Whether no two classes share a cluster of the last level, not counting required classes.
	 */
	bool separable;
	size_t level_count;
	struct ga_part_level levels[GA_PART_LEVELS_MAX];
	struct ga_part_joint joint;
	/* All classes, in an order in which those of a cluster lie together on every level. */
	uint8_t order[GA_PART_SEARCH_MAX];
	int32_t *tables;
	/* count × count: for each class, all classes with the best mates first */
	uint8_t *nearest;
};

bool ga_part_bound_init(struct ga_part_bound *bound, const struct ga_part_classes *classes,
			const struct ga_part_problem *problem);
void ga_part_bound_free(struct ga_part_bound *bound);

/* An upper bound on the value of a state that has total vertices left. */
int64_t ga_part_bound_of(const struct ga_part_bound *bound, const uint8_t *counts, size_t total);
/*
 * Looks for good prices. group is a known partition of the problem, which shows how low the bound
 * can get.
 */
void ga_part_bound_tighten(struct ga_part_bound *bound, const struct ga_part_problem *problem,
			   const uint16_t *group);
/* The most pairs that the last level can have, scaled, by the prices that were found. */
int64_t ga_part_bound_last_level(const struct ga_part_bound *bound, const uint8_t *counts,
				 size_t total);
/* The amount by which the tree bound, with the prices that were found, exceeds need; scaled. */
int64_t ga_part_bound_room(const struct ga_part_bound *bound, const uint8_t *counts, size_t total,
			   int64_t need);

/* The groups that take at least low and at most high vertices of each class of a state. */
struct ga_part_taking {
	const uint8_t *counts, *low, *high;
	int64_t room; /* what ga_part_bound_room() returned for the state */
};

/* False if the tree bound proves that no such group of size vertices leads to need. */
bool ga_part_bound_allows(const struct ga_part_bound *bound, const struct ga_part_taking *taking,
			  size_t size);
/* Looks for prices of the last two levels together, starting from the prices of each. */
void ga_part_bound_join_levels(struct ga_part_bound *bound, const struct ga_part_problem *problem,
			       const uint16_t *group);
/* The most that the last two levels can be worth; GA_PART_UNBOUNDED if that is not known. */
int64_t ga_part_bound_by_joint(const struct ga_part_bound *bound, const uint8_t *counts,
			       size_t total);
/* The most that all levels except the last can be worth. */
int64_t ga_part_bound_but_last_level(const struct ga_part_bound *bound, const uint8_t *counts,
				     size_t total);

#endif
