/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for the best set of a given size, by any function that gives a set a value. Complete
 * ties are decided by the order in which the vertices were offered, so the answer depends only on
 * the question.
 */
#ifndef GA_SOLVE_SET_SEARCH_H
#define GA_SOLVE_SET_SEARCH_H

#include "graph.h"

/* The best set found so far. Fields count in this order; for the loss, less is better. */
struct ga_set_rank {
	int64_t value;
	int64_t sum;  /* of scores inside */
	size_t nodes; /* fewer is better */
	int64_t loss; /* to those that stay behind */
};

struct ga_set_search {
	const struct ga_set_graph *graph;
	const size_t *vertices; /* that may be chosen, in the order offered */
	size_t count;
	size_t want;
	const bool *required; /* by vertex of the graph */
	const bool *idle;     /* by vertex: others could ask for it later; twins are alike in it */
	const int64_t *loss;  /* by vertex: what others miss when it is taken; 0 or more */
	/*
	 * The value of a set of want vertices, or any number below floor if the value is certainly
	 * below it. GPUALLOC_ENOMEM is the only negative result.
	 */
	int64_t (*value)(void *context, const size_t *set, int64_t floor);
	/* The link bandwidth that a set needs to be worth floor; NULL: nothing is known. */
	int64_t (*links_for)(void *context, int64_t floor);
	void *context;
	int64_t bound;    /* no set is worth more */
	uint64_t cost;    /* steps that asking for a value takes */
	uint64_t budget;  /* steps; 0: the default */
	bool value_alone; /* whatever ties will do */
};

struct ga_set_found {
	size_t *set; /* vertices, in the order offered */
	struct ga_set_rank rank;
	int64_t bound;
	bool proven;
	uint64_t steps;
};
void ga_set_found_free(struct ga_set_found *found);
#define ga_auto_set_found ga_cleanup(ga_set_found_free)

int ga_set_search_run(const struct ga_set_search *search, struct ga_set_found *ret_found);

bool ga_set_rank_better(const struct ga_set_rank *a, const struct ga_set_rank *b);

/* ---- for the parts of the search ---- */

#define GA_SET_NONE SIZE_MAX

/* What both parts need beforehand, by position in the order offered. */
struct ga_set_plan {
	size_t *twin;     /* the one before that may be taken as well instead, or GA_SET_NONE */
	size_t *required; /* how many from here on */
	size_t required_count;
	size_t node_count;
};
int ga_set_plan_init(const struct ga_set_search *search, struct ga_set_plan *ret_plan);
void ga_set_plan_free(struct ga_set_plan *plan);
#define ga_auto_set_plan ga_cleanup(ga_set_plan_free)
/* How many sets there are when twins count once, or limit if there are more. */
int ga_set_plan_sets(const struct ga_set_search *search, const struct ga_set_plan *plan,
		     uint64_t limit, uint64_t *ret_sets);

/* Each writes ret_found's set, which has room for it, and rank and steps. */
int ga_set_enumerate(const struct ga_set_search *search, const struct ga_set_plan *plan,
		     struct ga_set_found *found);
int ga_set_local_search(const struct ga_set_search *search, const struct ga_set_plan *plan,
			uint64_t budget, struct ga_set_found *found);

#endif
