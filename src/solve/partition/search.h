/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Branch and bound over states. A state is the number of vertices left in each class. From a state
 * the search tries every way to fill a group that takes from one given class, and it remembers what
 * it learns of each state. Two parts use this: the search for the best value, and the walk that
 * finds the first partition of that value.
 */
#ifndef GA_SOLVE_PARTITION_SEARCH_H
#define GA_SOLVE_PARTITION_SEARCH_H

#include "bound.h"
#include "memo.h"

enum { GA_PART_OPTION_BYTES_MAX = 8 << 20 };

/* A group that may be taken from a state. */
struct ga_part_option {
	int64_t most;    /* the most that partitions with this group are worth */
	int64_t weight;  /* of the group itself */
	uint8_t taken[]; /* how many vertices the group takes, by class */
};

struct ga_part_search {
	const struct ga_part_problem *problem;
	struct ga_part_classes classes;
	/* [0] without the required vertices, [1] with them */
	struct ga_part_symmetry symmetries[2];
	struct ga_part_bound bound;
	struct ga_part_memo memo;
	char *options; /* a stack of options */
	size_t option_size, options_used, options_room;
	int32_t *least; /* the least losses, a table for the expansion that is running */
	uint64_t steps, transitions, budget;
	uint64_t looks; /* how many pairs swaps may look at after their plain starts */
	bool exhausted; /* the search has given up; its results mean nothing */
	bool no_memory; /* and the reason was a lack of memory */
};

/* The options of one state. They lie side by side on the stack, which moves when it grows. */
struct ga_part_options {
	size_t begin, count;
	int64_t pruned; /* no option that was left out leads to a higher value */
};

enum { GA_PART_NO_CLASS = 255 };

/*
 * Which groups to list for a state. Each takes from the class pivot, and takes all required
 * vertices or none.
 */
struct ga_part_expansion {
	const uint8_t *counts;
	size_t total;
	size_t pivot; /* GA_PART_NO_CLASS if the group takes the required vertices */
	bool take_required;
	int64_t need; /* options that cannot reach this value are left out */
};

static inline struct ga_part_option *ga_part_option_at(const struct ga_part_search *search,
						       size_t begin, size_t i)
{
	return (struct ga_part_option *)(void *)(search->options + begin + i * search->option_size);
}

static inline const struct ga_part_symmetry *ga_part_search_symmetry(
	const struct ga_part_search *search, bool with_required)
{
	return &search->symmetries[with_required];
}

/*
 * Prepares a search whose bytes are all zero. Returns false if there is no memory. Call
 * ga_part_search_finish() in either case.
 */
bool ga_part_search_begin(struct ga_part_search *search, const struct ga_part_problem *problem,
			  bool alike);
void ga_part_search_finish(struct ga_part_search *search);
/*
 * The best value, or known (which a partition reaches) if the search finds nothing higher. The
 * result is exact unless the search is exhausted.
 */
int64_t ga_part_search_value(struct ga_part_search *search, int64_t known);
/* Whether the required vertices are still there. */
bool ga_part_search_has_required(const struct ga_part_search *search, const uint8_t *counts);
/*
 * Numbers the classes in runs. Classes of one run have equally many vertices left and may change
 * places.
 */
void ga_part_search_find_runs(const struct ga_part_search *search, const uint8_t *counts,
			      uint8_t *runs);
int64_t ga_part_search_weight(const struct ga_part_search *search, const uint8_t *counts);
/*
 * Appends the options. Of options that a symmetry within runs turns into each other, only one is
 * listed.
 */
void ga_part_search_expand(struct ga_part_search *search, const struct ga_part_expansion *expansion,
			   struct ga_part_options *ret_options);
/*
 * Finds the value of the best partition of a state. A result of need or more is exact, or it is at
 * least stop. A result below need only says that no partition has a higher value than this.
 */
int64_t ga_part_search_solve(struct ga_part_search *search, const uint8_t *counts, size_t total,
			     int64_t need, int64_t stop);
/* Finds the first partition that reaches value. Returns false if the budget ended first. */
bool ga_part_search_walk(struct ga_part_search *search, int64_t value, uint16_t *group);

#endif
