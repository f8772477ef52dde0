/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole way from a machine and a request to a choice: select candidates, keep to one model, ask
 * the policy, check its answer, and record what explains it.
 */
#ifndef GA_CHOOSE_DECIDE_H
#define GA_CHOOSE_DECIDE_H

#include "choice.h"

int ga_decide(const gpualloc_machine *machine, const gpualloc_request *request,
	      gpualloc_choice **ret_choice, gpualloc_error *error);

/* Without a request: takes the candidates as given, whatever their state. */
int ga_decide_among(const gpualloc_machine *machine, const struct ga_question *question,
		    const struct gpualloc_policy *policy, gpualloc_choice **ret_choice,
		    gpualloc_error *error);

/* The GPU at a place, in the form in which policies are offered it. */
struct ga_candidate ga_candidate_of(const gpualloc_machine *machine, size_t place);

#endif
