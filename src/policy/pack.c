/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack: takes the GPUs with the least room, so that others find GPUs with plenty. Room is the
 * number of MIG instances, then memory; for whole GPUs (shares) it is just memory.
 */
#include "by_room.h"

static bool less_room(const struct ga_room *a, const struct ga_room *b)
{
	return a->count != b->count ? a->count < b->count : a->memory < b->memory;
}

static int choose(const struct ga_question *question, struct ga_answer *ret_answer,
		  gpualloc_error *error)
{
	return ga_by_room_choose(less_room, question, ret_answer, error);
}

const struct ga_policy ga_policy_pack = {
	.name = "pack",
	.description = "MIG instances and shares on the GPUs with the least room",
	.choose = choose,
};
