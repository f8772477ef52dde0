/* SPDX-License-Identifier: Apache-2.0 */
/* For policies: what every answer starts with. */
#ifndef GA_POLICY_ANSWER_H
#define GA_POLICY_ANSWER_H

#include "policy.h"

/*
 * An answer that maximises nothing and has room for all the devices wanted. The required ones are
 * in it already, in the order given. GPUALLOC_ENOMEM or 0.
 */
int ga_answer_begin(const struct ga_question *question, struct ga_answer *ret_answer,
		    gpualloc_error *error);
bool ga_question_requires(const struct ga_question *question, size_t candidate);

#endif
