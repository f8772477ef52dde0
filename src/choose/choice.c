/* SPDX-License-Identifier: Apache-2.0 */
/* Measuring and freeing choices; see choice.h. */
#include "choice.h"

#include <stdlib.h>

void ga_choice_free(gpualloc_choice *choice)
{
	if (!choice)
		return;
	free(choice->policy);
	free(choice->devices);
	ga_answer_free(&choice->answer);
	ga_selection_free(&choice->selection);
	for (size_t i = 0; i < choice->alternative_count; i++)
		free(choice->alternatives[i].devices);
	free(choice);
}

int ga_choice_measure(const struct ga_question *question, const size_t *chosen,
		      struct ga_worth *ret_worth)
{
	enum { FEW = 16 };
	size_t count = question->want;
	ga_auto_free size_t *many = count > FEW ? calloc(count, sizeof *many) : NULL;
	size_t few[FEW], *places = count > FEW ? many : few;

	if (!places)
		return GPUALLOC_ENOMEM;
	for (size_t i = 0; i < count; i++)
		places[i] = question->candidates[chosen[i]].place;
	return ga_places_measure(question->machine, places, count, ret_worth);
}
