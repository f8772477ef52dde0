/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question as topology policies see it: a graph of the candidates and the other idle GPUs, and
 * the search for the set with the highest bandwidth in it.
 */
#ifndef GA_POLICY_FIELD_H
#define GA_POLICY_FIELD_H

#include "policy.h"
#include "set/search.h"

struct ga_field {
	struct ga_set_graph graph; /* vertex i is candidate i; after them come idle GPUs that are
				      not candidates */
	size_t *vertices;          /* 0, 1, … */
	bool *required;            /* by vertex */
	bool *idle;                /* others could ask for it later */
	int64_t *loss;             /* cost of the links between idle GPUs, near ones above all */
	bool whole;                /* every GPU of the machine is in it once, and idle */
};
int ga_field_init(const struct ga_question *question, struct ga_field *ret_field);
void ga_field_free(struct ga_field *field);
#define ga_auto_field ga_cleanup(ga_field_free)

/*
 * Completes a search that says what may be chosen: sets value, bound and cost to those of
 * bandwidth, and the context, which must outlive the search.
 */
struct ga_bandwidth_value {
	const struct ga_set_graph *graph;
	size_t want;
};
int ga_bandwidth_search(struct ga_set_search *search, struct ga_bandwidth_value *context);

#endif
