/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exported face of questions: what a scheduler asks, and what a caller's own policy is asked.
 */
#include "question.h"

#include "cleanup.h"
#include "decide.h"

#include <stdlib.h>

int gpualloc_question_new(const gpualloc_machine *machine, gpualloc_question **ret_question,
			  gpualloc_error *error)
{
	gpualloc_question *question;

	if (!machine)
		return ga_error_missing(error, "the machine");
	question = calloc(1, sizeof *question);
	if (!question)
		return ga_error_memory(error);
	question->asked.machine = machine;
	question->asked.want = 1;
	*ret_question = question;
	return 0;
}

void gpualloc_question_free(gpualloc_question *question)
{
	if (!question)
		return;
	free(question->candidates);
	free(question->required);
	free(question);
}

int gpualloc_question_set_candidates(gpualloc_question *question, const size_t *numbers,
				     size_t count, gpualloc_error *error)
{
	ga_auto_free struct ga_candidate *candidates = NULL;
	const gpualloc_machine *machine = question ? question->asked.machine : NULL;

	if (!machine || (!numbers && count > 0))
		return ga_error_missing(error, machine ? "the candidates" : "the question");
	candidates = calloc(count + 1, sizeof *candidates);
	if (!candidates)
		return ga_error_memory(error);
	for (size_t i = 0; i < count; i++) {
		if (numbers[i] >= machine->device_count)
			return ga_error_set(error, GPUALLOC_EUSAGE,
					    "device %zu of %zu does not exist", numbers[i],
					    machine->device_count);
		candidates[i] = ga_candidate_of(machine, numbers[i]);
	}
	free(question->candidates);
	question->asked.candidates = question->candidates = ga_steal(&candidates);
	question->asked.candidate_count = count;
	question->asked.required_count = 0;
	return 0;
}

int gpualloc_question_set_required(gpualloc_question *question, const size_t *numbers, size_t count,
				   gpualloc_error *error)
{
	ga_auto_free size_t *required = NULL;

	if (!question || (!numbers && count > 0))
		return ga_error_missing(error, question ? "what is required" : "the question");
	required = calloc(count + 1, sizeof *required);
	if (!required)
		return ga_error_memory(error);
	for (size_t i = 0; i < count; i++) {
		const struct ga_question *asked = &question->asked;

		while (required[i] < asked->candidate_count &&
		       asked->candidates[required[i]].place != numbers[i])
			required[i]++;
		if (required[i] == asked->candidate_count)
			return ga_error_set(error, GPUALLOC_EUSAGE,
					    "device %zu is required but is not a candidate",
					    numbers[i]);
	}
	free(question->required);
	question->asked.required = question->required = ga_steal(&required);
	question->asked.required_count = count;
	return 0;
}

void gpualloc_question_set_count(gpualloc_question *question, size_t count)
{
	if (question)
		question->asked.want = count;
}

void gpualloc_question_set_seed(gpualloc_question *question, uint64_t seed)
{
	if (question)
		question->asked.seed = seed;
}

const gpualloc_machine *gpualloc_question_machine(const gpualloc_question *question)
{
	return question ? question->asked.machine : NULL;
}

size_t gpualloc_question_candidate_count(const gpualloc_question *question)
{
	return question ? question->asked.candidate_count : 0;
}

static const struct ga_candidate *candidate_at(const gpualloc_question *question, size_t i)
{
	return question && i < question->asked.candidate_count ? &question->asked.candidates[i]
							       : NULL;
}

const gpualloc_device *gpualloc_question_candidate(const gpualloc_question *question, size_t i)
{
	const struct ga_candidate *candidate = candidate_at(question, i);

	return candidate ? candidate->device : NULL;
}

int64_t gpualloc_question_candidate_number(const gpualloc_question *question, size_t i)
{
	const struct ga_candidate *candidate = candidate_at(question, i);

	return candidate ? (int64_t)candidate->place : GA_UNKNOWN;
}

int64_t gpualloc_question_candidate_memory(const gpualloc_question *question, size_t i)
{
	const struct ga_candidate *candidate = candidate_at(question, i);

	return candidate ? candidate->free : GA_UNKNOWN;
}

size_t gpualloc_question_required_count(const gpualloc_question *question)
{
	return question ? question->asked.required_count : 0;
}

int64_t gpualloc_question_required(const gpualloc_question *question, size_t i)
{
	return question && i < question->asked.required_count ? (int64_t)question->asked.required[i]
							      : GA_UNKNOWN;
}

size_t gpualloc_question_count(const gpualloc_question *question)
{
	return question ? question->asked.want : 0;
}

uint64_t gpualloc_question_seed(const gpualloc_question *question)
{
	return question ? question->asked.seed : 0;
}

int gpualloc_choose_among(const gpualloc_question *question, const gpualloc_policy *policy,
			  gpualloc_choice **ret_choice, gpualloc_error *error)
{
	if (!question)
		return ga_error_missing(error, "the question");
	return ga_decide_among(question->asked.machine, &question->asked, policy, ret_choice,
			       error);
}
