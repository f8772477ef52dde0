/* SPDX-License-Identifier: Apache-2.0 */
/* The beginning of an answer; see choice.h. */
#include "choice.h"

#include <stdlib.h>

int ga_choice_begin(const struct ga_question *question, struct ga_answer *ret_answer,
		    gpualloc_error *error)
{
	struct ga_answer answer = {.value = GA_UNKNOWN, .bound = GA_UNKNOWN};

	answer.chosen = calloc(question->want, sizeof *answer.chosen);
	if (!answer.chosen)
		return ga_error_memory(error);
	for (size_t i = 0; i < question->required_count; i++)
		answer.chosen[answer.count++] = question->required[i];
	*ret_answer = answer;
	return 0;
}

bool ga_choice_is_required(const struct ga_question *question, size_t candidate)
{
	for (size_t i = 0; i < question->required_count; i++)
		if (question->required[i] == candidate)
			return true;
	return false;
}
