/* SPDX-License-Identifier: Apache-2.0 */
/* best-fit: the least free memory that suffices, so that large pieces stay whole. */
#include "by_memory.h"

static int choose(const struct ga_question *question, struct ga_answer *ret_answer,
		  gpualloc_error *error)
{
	return ga_by_memory_choose(GA_MEMORY_LEAST, question, ret_answer, error);
}

const struct ga_policy ga_policy_best_fit = {
	.name = "best-fit",
	.description = "the least free memory that suffices",
	.by_memory = true,
	.memory = GA_MEMORY_LEAST,
	.choose = choose,
};
