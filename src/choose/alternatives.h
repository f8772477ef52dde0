/* SPDX-License-Identifier: Apache-2.0 */
/* The next best sets after the chosen one. */
#ifndef GA_CHOOSE_ALTERNATIVES_H
#define GA_CHOOSE_ALTERNATIVES_H

#include "ask.h"
#include "choice.h"

/* Finds the alternatives to a choice, and says why each other device on offer was not chosen. */
int ga_choice_find_alternatives(gpualloc_choice *choice, const struct ga_question *question,
				const struct ga_asked *asked, bool one_model,
				gpualloc_error *error);

#endif
