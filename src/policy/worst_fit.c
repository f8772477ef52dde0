/* SPDX-License-Identifier: Apache-2.0 */
/* worst-fit: the most free memory, for jobs that may need more than they asked for. */
#include "by_memory.h"

static int choose(const struct ga_question *question, struct ga_answer *ret_answer,
		  gpualloc_error *error)
{
	return ga_by_memory_choose(GA_MEMORY_MOST, question, ret_answer, error);
}

const struct ga_policy ga_policy_worst_fit = {
	.name = "worst-fit",
	.description = "the most free memory",
	.by_memory = true,
	.memory = GA_MEMORY_MOST,
	.choose = choose,
};
