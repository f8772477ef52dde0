/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Branch and bound over states: what is left of each class. A state's first group is every way to
 * fill a group around one class; states are remembered with what is known of them. Two users: the
 * search for the value, and the walk that finds the first partition of that value.
 */
#ifndef GA_SOLVE_PARTITION_SEARCH_H
#define GA_SOLVE_PARTITION_SEARCH_H

#include "bound.h"
#include "memo.h"

enum { GA_PART_OPTION_BYTES_MAX = 8 << 20 };

/* A group for a state. */
struct ga_part_option {
	int64_t most;    /* of partitions with it */
	int64_t weight;  /* its own */
	uint8_t taken[]; /* of each class */
};

struct ga_part_search {
	const struct ga_part_problem *problem;
	struct ga_part_classes classes;
	struct ga_part_symmetry symmetries[2]; /* without the required vertices, with them */
	struct ga_part_bound bound;
	struct ga_part_memo memo;
	char *options; /* a stack */
	size_t option_size, options_used, options_room;
	int32_t *least; /* of losses; a table of the expansion under way */
	uint64_t steps, transitions, budget;
	uint64_t looks; /* that swaps may have beyond their plain beginnings */
	bool exhausted; /* results mean nothing any more */
	bool no_memory; /* and this is why */
};

/* Options of one state lie in one piece on the stack, which moves when it grows. */
struct ga_part_options {
	size_t begin, count;
	int64_t pruned; /* no option that was left out leads to more */
};

enum { GA_PART_NO_CLASS = 255 };

/* What a state is asked for: groups with some of the class pivot, with all or none of the required.
 */
struct ga_part_expansion {
	const uint8_t *counts;
	size_t total;
	size_t pivot; /* GA_PART_NO_CLASS: the required vertices are reason enough */
	bool take_required;
	int64_t need; /* options that cannot lead to it are left out */
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

/* Of a search that is all zero; false when there is no memory. It is finished in either case. */
bool ga_part_search_begin(struct ga_part_search *search, const struct ga_part_problem *problem,
			  bool alike);
void ga_part_search_finish(struct ga_part_search *search);
/* The value, if it is more than what is known to be reached; the truth unless it is exhausted. */
int64_t ga_part_search_value(struct ga_part_search *search, int64_t known);
/* Whether the required vertices are still there. */
bool ga_part_search_has_required(const struct ga_part_search *search, const uint8_t *counts);
/* Classes with one number have as many left and may change places. */
void ga_part_search_find_runs(const struct ga_part_search *search, const uint8_t *counts,
			      uint8_t *runs);
int64_t ga_part_search_weight(const struct ga_part_search *search, const uint8_t *counts);
/* Appends the options, none of which a symmetry within runs turns into another. */
void ga_part_search_expand(struct ga_part_search *search, const struct ga_part_expansion *expansion,
			   struct ga_part_options *ret_options);
/*
 * The best partition of a state: what is at least need is the truth, or at least stop; what is less
 * only says that there is none better than this.
 */
int64_t ga_part_search_solve(struct ga_part_search *search, const uint8_t *counts, size_t total,
			     int64_t need, int64_t stop);
/* The first partition that reaches value; false where the budget ended first. */
bool ga_part_search_walk(struct ga_part_search *search, int64_t value, uint16_t *group);

#endif
