/* SPDX-License-Identifier: Apache-2.0 */
/* The next best sets beside a chosen one. */
#ifndef GA_CHOOSE_ALTERNATIVES_H
#define GA_CHOOSE_ALTERNATIVES_H

#include "ask.h"
#include "choice.h"

/* Finds the alternatives of a choice, and says of everything that was on offer why not. */
int ga_choice_find_alternatives(gpualloc_choice *choice, const struct ga_question *question,
				const struct ga_asked *asked, bool one_model,
				gpualloc_error *error);

#endif
