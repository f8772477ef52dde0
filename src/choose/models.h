/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps to devices of one model when several models are on offer. */
#ifndef GA_CHOOSE_MODELS_H
#define GA_CHOOSE_MODELS_H

#include "ask.h"

/* The model of a device, or of an instance's GPU. */
const char *ga_model_of(const struct ga_candidate *candidate);
bool ga_models_differ(const struct ga_question *question);

/* Besides GPUALLOC_E…: no model has as many devices as are wanted. The error is not set. */
enum { GA_NO_MODEL = 1 };

/* Asks about each model separately; the best answer counts. */
int ga_ask_by_model(const struct ga_asked *asked, const struct ga_question *question,
		    struct ga_answer *ret_answer, gpualloc_error *error);

#endif
