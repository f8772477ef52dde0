/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the first of the fixed sets that is completely on offer and holds the required devices.
 * If no machine of this kind has such a set, it is impossible; if part of it is held by somebody,
 * it is busy.
 */
#include "fixed_sets.h"

#include "answer.h"

#include <stdio.h>
#include <string.h>

static const struct ga_fixed_size *find_size(const struct ga_fixed_sets *sets, size_t size)
{
	for (size_t i = 0; i < sets->size_count; i++)
		if (sets->sizes[i].size == size)
			return &sets->sizes[i];
	return NULL;
}

static int refuse_size(const struct ga_fixed_sets *sets, size_t want, gpualloc_error *error)
{
	char sizes[64] = "";

	for (size_t i = 0; i < sets->size_count; i++) {
		size_t at = strlen(sizes);
		const char *before = i == 0 ? "" : i + 1 < sets->size_count ? ", " : " or ";

		(void)snprintf(sizes + at, sizeof sizes - at, "%s%zu", before, sets->sizes[i].size);
	}
	return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
			    "policy %s only has sets of %s devices, but %zu were asked for",
			    sets->policy, sizes, want);
}

/* The number of the candidate that is the whole GPU with this index. */
static bool find_candidate(const struct ga_question *question, int64_t index, size_t *ret_number)
{
	for (size_t i = 0; i < question->candidate_count; i++) {
		const struct gpualloc_device *device = question->candidates[i].device;

		if (!device->parent && device->index == index) {
			*ret_number = i;
			return true;
		}
	}
	return false;
}

static bool holds_required(const struct ga_question *question, const uint8_t *set, size_t size)
{
	for (size_t r = 0; r < question->required_count; r++) {
		const struct ga_candidate *required = &question->candidates[question->required[r]];
		size_t i = 0;

		while (i < size && (required->device->parent || required->device->index != set[i]))
			i++;
		if (i == size)
			return false;
	}
	return true;
}

static bool is_offered(const struct ga_question *question, const uint8_t *set, size_t size,
		       size_t *numbers)
{
	for (size_t i = 0; i < size; i++)
		if (!find_candidate(question, set[i], &numbers[i]))
			return false;
	return true;
}

static int take(const struct ga_question *question, const size_t *numbers,
		struct ga_answer *ret_answer, gpualloc_error *error)
{
	int result = ga_answer_begin(question, ret_answer, error);

	if (result < 0)
		return result;
	memcpy(ret_answer->chosen, numbers, question->want * sizeof *numbers);
	ret_answer->count = question->want;
	return 0;
}

int ga_fixed_choose(const struct ga_fixed_sets *sets, const struct ga_question *question,
		    struct ga_answer *ret_answer, gpualloc_error *error)
{
	const struct ga_fixed_size *fixed = find_size(sets, question->want);
	size_t numbers[GA_FIXED_MAX];
	bool possible = false;

	if (question->machine->device_count < sets->device_count)
		return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
				    "policy %s is for machines with %zu GPUs, but this one has %zu",
				    sets->policy, sets->device_count,
				    question->machine->device_count);
	if (!fixed)
		return refuse_size(sets, question->want, error);
	for (size_t i = 0; i < fixed->count; i++) {
		const uint8_t *set = fixed->devices + i * fixed->size;

		if (!holds_required(question, set, fixed->size))
			continue;
		possible = true;
		if (is_offered(question, set, fixed->size, numbers))
			return take(question, numbers, ret_answer, error);
	}
	if (!possible)
		return ga_error_set(
			error, GPUALLOC_EIMPOSSIBLE,
			"policy %s has no set of %zu devices with all the required ones",
			sets->policy, question->want);
	return ga_error_set(error, GPUALLOC_EBUSY,
			    "policy %s: none of its sets of %zu devices is completely free",
			    sets->policy, question->want);
}
