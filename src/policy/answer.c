/* SPDX-License-Identifier: Apache-2.0 */
/* A policy's answer: how it starts, and the check that it answers the question. */
#include "answer.h"

#include "cleanup.h"

#include <stdlib.h>

void ga_answer_free(struct ga_answer *answer)
{
	free(answer->chosen);
	*answer = (struct ga_answer){0};
}

int ga_answer_check(const char *name, const struct ga_question *question,
		    const struct ga_answer *answer, gpualloc_error *error)
{
	uint64_t few[4] = {0};
	ga_auto_device_set struct ga_device_set many = {0};
	struct ga_device_set seen = {question->candidate_count, few};

	if (answer->count != question->want)
		return ga_error_set(error, GPUALLOC_EDATA,
				    "policy %s: chose %zu devices, but %zu were asked for", name,
				    answer->count, question->want);
	if (seen.size > sizeof few * 8) {
		if (!ga_device_set_init(&many, seen.size))
			return ga_error_memory(error);
		seen.words = many.words;
	}
	for (size_t i = 0; i < answer->count; i++) {
		if (answer->chosen[i] >= question->candidate_count)
			return ga_error_set(error, GPUALLOC_EDATA,
					    "policy %s: chose a device that was not offered", name);
		if (ga_device_set_has(&seen, answer->chosen[i]))
			return ga_error_set(
				error, GPUALLOC_EDATA, "policy %s: chose device %lld twice", name,
				(long long)question->candidates[answer->chosen[i]].device->index);
		ga_device_set_add(&seen, answer->chosen[i]);
	}
	for (size_t i = 0; i < question->required_count; i++)
		if (!ga_device_set_has(&seen, question->required[i]))
			return ga_error_set(error, GPUALLOC_EDATA,
					    "policy %s: left out the required device %lld", name,
					    (long long)question->candidates[question->required[i]]
						    .device->index);
	return 0;
}

int ga_answer_begin(const struct ga_question *question, struct ga_answer *ret_answer,
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

bool ga_question_requires(const struct ga_question *question, size_t candidate)
{
	for (size_t i = 0; i < question->required_count; i++)
		if (question->required[i] == candidate)
			return true;
	return false;
}
