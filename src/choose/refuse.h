/* SPDX-License-Identifier: Apache-2.0 */
/* The sentences of a refusal: what is missing, which devices stand in the way, and why. */
#ifndef GA_CHOOSE_REFUSE_H
#define GA_CHOOSE_REFUSE_H

#include "select.h"

/*
 * GPUALLOC_EBUSY if there would be enough once the busy ones are free, otherwise
 * GPUALLOC_EIMPOSSIBLE.
 */
int ga_refuse_too_few(const struct ga_selection *selection, const gpualloc_request *request,
		      gpualloc_error *error);
/* 0 if no profile is asked for or some instance has it. */
int ga_refuse_unknown_profile(const gpualloc_machine *machine, const gpualloc_request *request,
			      gpualloc_error *error);
/* Says that no model has as many devices on offer as are wanted. */
int ga_refuse_models(const struct ga_selection *selection, gpualloc_error *error);

#endif
