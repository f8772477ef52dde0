/* SPDX-License-Identifier: Apache-2.0 */
/* The example of gpualloc_policy(3). */
#include <gpualloc/gpualloc.h>
#include <stdio.h>

/* Takes the last candidates. It does not look at what is required, so the library refuses its
   answer when something is. */
static int take_last(void *context, const gpualloc_question *question, size_t *ret_chosen)
{
	size_t count = gpualloc_question_count(question);

	(void)context;
	for (size_t i = 0; i < count; i++)
		ret_chosen[i] = gpualloc_question_candidate_count(question) - 1 - i;
	return (int)count;
}

int main(void)
{
	const size_t candidates[] = {0, 1, 2, 3};
	gpualloc_machine *machine = NULL;
	gpualloc_policy *policy = NULL;
	gpualloc_question *question = NULL;
	gpualloc_choice *choice = NULL;
	int result = gpualloc_machine_open(NULL, 0, &machine, NULL);

	if (result == 0)
		result = gpualloc_policy_new("last", take_last, NULL, &policy, NULL);
	if (result == 0)
		result = gpualloc_question_new(machine, &question, NULL);
	if (result == 0)
		result = gpualloc_question_set_candidates(question, candidates, 4, NULL);
	gpualloc_question_set_count(question, 2);
	if (result == 0)
		result = gpualloc_choose_among(question, policy, &choice, NULL);
	for (size_t i = 0; i < gpualloc_choice_device_count(choice); i++)
		printf("%lld\n",
		       (long long)gpualloc_device_index(gpualloc_choice_device(choice, i)));
	gpualloc_choice_free(choice);
	gpualloc_question_free(question);
	gpualloc_policy_free(policy);
	gpualloc_machine_free(machine);
	return gpualloc_exit_status(result);
}
