/* SPDX-License-Identifier: Apache-2.0 */
/* Asks a built-in policy or the caller's own, and checks the answer. */
#ifndef GA_CHOOSE_ASK_H
#define GA_CHOOSE_ASK_H

#include "request.h"

/* The policy that is asked. */
struct ga_asked {
	const struct ga_policy *built_in;
	const struct ga_own_policy *own; /* NULL: built_in */
};

/* The caller's own where policy is one, else built_in. */
struct ga_asked ga_asked_of(const struct gpualloc_policy *policy, const struct ga_policy *built_in);
const char *ga_asked_name(const struct ga_asked *asked);
/*
 * As the descriptor of a built-in policy says. The caller's own policy counts as one that looks at
 * links and does not partition.
 */
bool ga_asked_by_topology(const struct ga_asked *asked);

int ga_ask(const struct ga_asked *asked, const struct ga_question *question,
	   struct ga_answer *ret_answer, gpualloc_error *error);

#endif
