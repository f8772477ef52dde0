/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pack: where least room is left, so that others find GPUs with much of it. MIG instances count by
 * their number, then by memory; whole GPUs (shares) so by memory alone.
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
