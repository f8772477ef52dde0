/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the policy, and not asking again; see answers.h. */
#include "answers.h"

#include "owned.h"

#include <stdlib.h>
#include <string.h>

bool gpu_set_same(const struct gpu_set *set, const struct gpu_set *other)
{
	return memcmp(set->bits, other->bits, sizeof set->bits) == 0;
}

size_t gpu_set_count(const struct gpu_set *set)
{
	size_t count = 0;

	for (size_t i = 0; i < ANSWER_WORDS; i++)
		count += (size_t)__builtin_popcountll(set->bits[i]);
	return count;
}

static size_t list(const struct gpu_set *set, size_t numbers[static ANSWER_GPUS])
{
	size_t count = 0;

	for (size_t i = 0; i < ANSWER_GPUS; i++)
		if (gpu_set_has(set, i))
			numbers[count++] = i;
	return count;
}

static int make_question(const struct answer *answer, const gpualloc_machine *machine,
			 gpualloc_question **ret_question)
{
	auto_question gpualloc_question *question = NULL;
	size_t numbers[ANSWER_GPUS], count = list(&answer->offered, numbers);
	int result = gpualloc_question_new(machine, &question, NULL);

	if (result == 0)
		result = gpualloc_question_set_candidates(question, numbers, count, NULL);
	count = list(&answer->required, numbers);
	if (result == 0 && count)
		result = gpualloc_question_set_required(question, numbers, count, NULL);
	if (result < 0)
		return result;
	gpualloc_question_set_count(question, answer->wanted);
	*ret_question = ga_steal(&question);
	return 0;
}

int answer_ask(struct answer *answer, const gpualloc_machine *machine,
	       const gpualloc_policy *policy)
{
	auto_question gpualloc_question *question = NULL;
	auto_choice gpualloc_choice *choice = NULL;
	int result = make_question(answer, machine, &question);

	if (result == 0)
		result = gpualloc_choose_among(question, policy, &choice, NULL);
	if (result < 0)
		return result;
	answer->chosen = (struct gpu_set){0};
	for (size_t i = 0; i < gpualloc_choice_device_count(choice); i++) {
		int64_t number = gpualloc_device_number(machine, gpualloc_choice_device(choice, i));

		if (number >= 0 && number < ANSWER_GPUS)
			gpu_set_add(&answer->chosen, (size_t)number);
	}
	return 0;
}

const struct answer *answers_find(const struct answers *answers, const struct answer *asked)
{
	for (size_t i = 0; i < answers->count; i++) {
		const struct answer *answer = &answers->list[i];

		if (answer->wanted == asked->wanted &&
		    gpu_set_same(&answer->offered, &asked->offered) &&
		    gpu_set_same(&answer->required, &asked->required))
			return answer;
	}
	return NULL;
}

void answers_add(struct answers *answers, const struct answer *answer)
{
	if (answers_find(answers, answer))
		return;
	answers->list[answers->next] = *answer;
	answers->next = (answers->next + 1) % ANSWERS_MOST;
	if (answers->count < ANSWERS_MOST)
		answers->count++;
}

void answers_forget(struct answers *answers)
{
	answers->count = answers->next = 0;
}
