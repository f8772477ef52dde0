/* SPDX-License-Identifier: Apache-2.0 */
/* simple: the required ones, then the first in the order offered. */
#include "answer.h"

static int choose(const struct ga_question *question, struct ga_answer *ret_answer,
		  gpualloc_error *error)
{
	int result = ga_answer_begin(question, ret_answer, error);

	if (result < 0)
		return result;
	for (size_t i = 0; ret_answer->count < question->want; i++)
		if (!ga_question_requires(question, i))
			ret_answer->chosen[ret_answer->count++] = i;
	return 0;
}

const struct ga_policy ga_policy_simple = {
	.name = "simple",
	.description = "the first in the order given",
	.choose = choose,
};
