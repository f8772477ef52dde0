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

int ga_choice_measure(const struct ga_question *question, const size_t *chosen, int64_t *ret_score,
		      int64_t *ret_bandwidth)
{
	ga_auto_free size_t *places = calloc(question->want + 1, sizeof *places);

	if (!places)
		return GPUALLOC_ENOMEM;
	for (size_t i = 0; i < question->want; i++)
		places[i] = question->candidates[chosen[i]].place;
	*ret_score = ga_places_score(question->machine, places, question->want);
	*ret_bandwidth = ga_places_bandwidth(question->machine, places, question->want);
	return *ret_bandwidth == GPUALLOC_ENOMEM ? GPUALLOC_ENOMEM : 0;
}
