/* SPDX-License-Identifier: Apache-2.0 */
/* For pack and spread: one after the other, from the GPU with the least or the most room. */
#ifndef GA_POLICY_BY_ROOM_H
#define GA_POLICY_BY_ROOM_H

#include "policy.h"

/* What a GPU still has for others. */
struct ga_room {
	size_t count;   /* of its candidates; always 1 for a whole GPU */
	int64_t memory; /* free in them, as far as it is known */
	size_t taken;   /* of them by this answer */
};

/* better says whether the next one is to come rather from a than from b; ties: the lower place. */
int ga_by_room_choose(bool (*better)(const struct ga_room *a, const struct ga_room *b),
		      const struct ga_question *question, struct ga_answer *ret_answer,
		      gpualloc_error *error);

#endif
