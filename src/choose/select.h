/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns a machine and a request into the candidates that a policy is offered. For every other
 * device it says why not: never (wrong kind, excluded, too small), or not now (in use).
 */
#ifndef GA_CHOOSE_SELECT_H
#define GA_CHOOSE_SELECT_H

#include "cleanup.h"
#include "request.h"

enum { GA_REASON_SIZE = 256 };

struct gpualloc_rejection {
	const gpualloc_device *device;
	bool for_now; /* somebody could free it */
	unsigned remedies;
	char reason[GA_REASON_SIZE];
};

struct ga_selection {
	const gpualloc_machine *machine;
	struct ga_candidate *candidates; /* in the order in which a policy is offered them */
	size_t candidate_count;
	size_t *required; /* numbers of candidates */
	size_t required_count;
	struct gpualloc_rejection *rejections;
	size_t rejection_count;
	struct ga_device_set idle; /* GPUs that are free, whoever may use them */
	size_t want;
};

void ga_selection_free(struct ga_selection *selection);
#define ga_auto_selection ga_cleanup(ga_selection_free)

/*
 * Fails if the request cannot be met: GPUALLOC_EBUSY if there would be enough once others finish,
 * GPUALLOC_EIMPOSSIBLE if not, GPUALLOC_ENOSOURCE on a machine without a GPU. ret_selection is
 * filled in even then, so that the caller can explain.
 */
int ga_select(const gpualloc_machine *machine, const gpualloc_request *request,
	      struct ga_selection *ret_selection, gpualloc_error *error);

#endif
