/* SPDX-License-Identifier: Apache-2.0 */
/* The sentences of a refusal: what is lacking, which devices stand in the way, and why. */
#ifndef GA_CHOOSE_REFUSE_H
#define GA_CHOOSE_REFUSE_H

#include "select.h"

/* GPUALLOC_EBUSY where those that are busy would do, GPUALLOC_EIMPOSSIBLE where they would not. */
int ga_refuse_too_few(const struct ga_selection *selection, const gpualloc_request *request,
		      gpualloc_error *error);
/* 0 where an instance has the profile that is asked for, if any is. */
int ga_refuse_unknown_profile(const gpualloc_machine *machine, const gpualloc_request *request,
			      gpualloc_error *error);
/* No model has as many devices on offer as are wanted. */
int ga_refuse_models(const struct ga_selection *selection, gpualloc_error *error);

#endif
