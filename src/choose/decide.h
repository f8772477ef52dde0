/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole way from a machine and a request to a choice: select, keep to one model, ask the
 * policy, check its answer, and remember what explains it.
 */
#ifndef GA_CHOOSE_DECIDE_H
#define GA_CHOOSE_DECIDE_H

#include "select.h"

struct ga_alternative {
	const gpualloc_device **devices;
	int64_t value; /* what the policy makes of it; GA_UNKNOWN where it maximises nothing */
	int64_t score;
	int64_t bandwidth;
};

enum { GA_ALTERNATIVES_MAX = 5 };

struct gpualloc_choice {
	const gpualloc_machine *machine;
	char *policy;
	const gpualloc_device **devices;
	size_t count;
	struct ga_answer answer; /* value, bound, proven, transitions; chosen is not kept */
	int64_t score;
	int64_t bandwidth;
	struct ga_selection selection;
	struct ga_alternative alternatives[GA_ALTERNATIVES_MAX];
	size_t alternative_count;
};

int ga_decide(const gpualloc_machine *machine, const gpualloc_request *request,
	      gpualloc_choice **ret_choice, gpualloc_error *error);

/* Without a request: candidates as given, whatever their state is. */
int ga_decide_among(const gpualloc_machine *machine, const struct ga_question *question,
		    const struct gpualloc_policy *policy, gpualloc_choice **ret_choice,
		    gpualloc_error *error);

/* The GPU at a place, as a policy is offered it. */
struct ga_candidate ga_candidate_of(const gpualloc_machine *machine, size_t place);

void ga_choice_free(gpualloc_choice *choice);

/* Whoever is asked: a policy of ours, or the caller's own. */
struct ga_asked {
	const struct ga_policy *built_in;
	const struct ga_own_policy *own; /* NULL: built_in */
};

int ga_ask(const struct ga_asked *asked, const struct ga_question *question,
	   struct ga_answer *ret_answer, gpualloc_error *error);

/* Finds the alternatives of a choice, and says of everything that was on offer why not. */
int ga_choice_find_alternatives(gpualloc_choice *choice, const struct ga_question *question,
				const struct ga_asked *asked, bool one_model,
				gpualloc_error *error);

#endif
