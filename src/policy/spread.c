/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spread: takes the GPUs with the most room, so that neighbours disturb each other least. Ties go
 * to a GPU that this answer has not used yet.
 */
#include "by_room.h"

static bool more_room(const struct ga_room *a, const struct ga_room *b)
{
	if (a->count != b->count)
		return a->count > b->count;
	if (a->taken != b->taken)
		return a->taken < b->taken;
	return a->memory > b->memory;
}

static int choose(const struct ga_question *question, struct ga_answer *ret_answer,
		  gpualloc_error *error)
{
	return ga_by_room_choose(more_room, question, ret_answer, error);
}

const struct ga_policy ga_policy_spread = {
	.name = "spread",
	.description = "MIG instances and shares on the GPUs with the most room",
	.choose = choose,
};
