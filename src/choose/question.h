/* SPDX-License-Identifier: Apache-2.0 */
/* A question as the public header has it: what policies are asked, and what it owns of that. */
#ifndef GA_CHOOSE_QUESTION_H
#define GA_CHOOSE_QUESTION_H

#include "policy.h"

struct gpualloc_question {
	struct ga_question asked;
	struct ga_candidate *candidates; /* its own; NULL where a policy is shown one of ours */
	size_t *required;
};

#endif
