/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping to devices of one model where several are on offer. */
#ifndef GA_CHOOSE_MODELS_H
#define GA_CHOOSE_MODELS_H

#include "ask.h"

/* The model of a device, or of the GPU that an instance is on. */
const char *ga_model_of(const struct ga_candidate *candidate);
bool ga_models_differ(const struct ga_question *question);

/* Besides GPUALLOC_E…: no model has as many devices as are wanted, and nothing was said of it. */
enum { GA_NO_MODEL = 1 };

/* Asks about each model by itself; the best answer counts. */
int ga_ask_by_model(const struct ga_asked *asked, const struct ga_question *question,
		    struct ga_answer *ret_answer, gpualloc_error *error);

#endif
