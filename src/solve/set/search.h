/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search for the best set of a given size. The caller brings the function that gives a set its
 * value. The order in which the vertices were offered decides complete ties, so the same question
 * always gets the same answer.
 */
#ifndef GA_SOLVE_SET_SEARCH_H
#define GA_SOLVE_SET_SEARCH_H

#include "graph.h"

/* The rank of a set. Fields are compared in this order. For nodes and loss, less is better. */
struct ga_set_rank {
	int64_t value;
	int64_t sum;  /* the sum of the scores inside the set */
	size_t nodes; /* how many nodes the set is on */
	int64_t loss; /* the loss to the vertices that stay behind */
};

struct ga_set_search {
	const struct ga_set_graph *graph;
	const size_t *vertices; /* the vertices that may be chosen, in the order offered */
	size_t count;
	size_t want;
	const bool *required; /* by vertex of the graph */
	/* by vertex: others could ask for it later; twins must agree in this */
	const bool *idle;
	const int64_t *loss; /* by vertex: the loss to others if it is taken; 0 or more */
	/*
	 * Returns the value of a set of want vertices, or any number below floor if the value is
	 * certainly below floor. GPUALLOC_ENOMEM is the only negative result.
	 */
	int64_t (*value)(void *context, const size_t *set, int64_t floor);
	/* Returns the link bandwidth that a set needs to be worth floor. NULL: nothing is known. */
	int64_t (*links_for)(void *context, int64_t floor);
	void *context;
	int64_t bound;    /* no set has a higher value */
	uint64_t cost;    /* the steps that one call of value() costs */
	uint64_t budget;  /* in steps; 0: the default */
	bool value_alone; /* only the value counts; any of the tied sets will do */
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

/* What both parts of the search need before they start, by position in the order offered. */
struct ga_set_plan {
	size_t *twin;     /* the nearest earlier twin, or GA_SET_NONE */
	size_t *required; /* how many required vertices there are from here on */
	size_t required_count;
	size_t node_count;
};
int ga_set_plan_init(const struct ga_set_search *search, struct ga_set_plan *ret_plan);
void ga_set_plan_free(struct ga_set_plan *plan);
#define ga_auto_set_plan ga_cleanup(ga_set_plan_free)
/* The number of sets if sets that differ only in twins count once, or limit if there are more. */
int ga_set_plan_sets(const struct ga_set_search *search, const struct ga_set_plan *plan,
		     uint64_t limit, uint64_t *ret_sets);

/* Both fill in found's set (which has room for it), rank and steps. */
int ga_set_enumerate(const struct ga_set_search *search, const struct ga_set_plan *plan,
		     struct ga_set_found *found);
int ga_set_local_search(const struct ga_set_search *search, const struct ga_set_plan *plan,
			uint64_t budget, struct ga_set_found *found);

#endif
