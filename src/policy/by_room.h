/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For pack and spread: takes one device after the other, from the GPU with the least or the most
 * room.
 */
#ifndef GA_POLICY_BY_ROOM_H
#define GA_POLICY_BY_ROOM_H

#include "policy.h"

/* The room a GPU still has. */
struct ga_room {
	size_t count;   /* of its candidates; always 1 for a whole GPU */
	int64_t memory; /* free in them, as far as it is known */
	size_t taken;   /* of them by this answer */
};

/* better says whether to take the next one from a rather than from b. Ties: the lower place. */
int ga_by_room_choose(bool (*better)(const struct ga_room *a, const struct ga_room *b),
		      const struct ga_question *question, struct ga_answer *ret_answer,
		      gpualloc_error *error);

#endif
