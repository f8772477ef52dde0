/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The question of the public header: what policies are asked, and which parts of it the question
 * owns.
 */
#ifndef GA_CHOOSE_QUESTION_H
#define GA_CHOOSE_QUESTION_H

#include "policy.h"

struct gpualloc_question {
	struct ga_question asked;
	struct ga_candidate *candidates; /* its own; NULL if it is ours, shown to a policy */
	size_t *required;
};

#endif
