/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders by free memory, then by index. A device whose free memory is unknown comes last in both
 * directions: it may be full, so it is taken only if nothing better is left. A request for memory
 * never offers it.
 */
#include "by_memory.h"

#include "answer.h"
#include "cleanup.h"

struct entry {
	size_t number;
	size_t place;
	int64_t index;
	int64_t key; /* less is taken first */
};

static int compare(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int result = compare(x->key, y->key);

	if (result == 0)
		result = compare((int64_t)x->place, (int64_t)y->place);
	if (result == 0)
		result = compare(x->index, y->index);
	return result ? result : compare((int64_t)x->number, (int64_t)y->number);
}

static int64_t key_of(const struct ga_candidate *candidate, enum ga_memory_wish order)
{
	if (candidate->free < 0)
		return INT64_MAX;
	return order == GA_MEMORY_LEAST ? candidate->free : -candidate->free;
}

int ga_by_memory_choose(enum ga_memory_wish order, const struct ga_question *question,
			struct ga_answer *ret_answer, gpualloc_error *error)
{
	ga_auto_free struct entry *entries = calloc(question->candidate_count, sizeof *entries);
	size_t count = 0;
	int result;

	if (!entries)
		return ga_error_memory(error);
	for (size_t i = 0; i < question->candidate_count; i++) {
		const struct ga_candidate *candidate = &question->candidates[i];

		if (!ga_question_requires(question, i))
			entries[count++] =
				(struct entry){i, candidate->place, candidate->device->index,
					       key_of(candidate, order)};
	}
	qsort(entries, count, sizeof *entries, compare_entries);
	result = ga_answer_begin(question, ret_answer, error);
	for (size_t i = 0; result == 0 && ret_answer->count < question->want; i++)
		ret_answer->chosen[ret_answer->count++] = entries[i].number;
	return result;
}
