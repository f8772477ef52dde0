/* SPDX-License-Identifier: Apache-2.0 */
/* For best-fit and worst-fit: the required devices, then the others by free memory. */
#ifndef GA_POLICY_BY_MEMORY_H
#define GA_POLICY_BY_MEMORY_H

#include "policy.h"

int ga_by_memory_choose(enum ga_memory_wish order, const struct ga_question *question,
			struct ga_answer *ret_answer, gpualloc_error *error);

#endif
