/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The next best sets after the chosen one. If there are few sets, all are looked at, otherwise
 * those that differ from the chosen one in one device. The best by predicted bandwidth and pair
 * score are shown to the policy, whose own value then decides. This file also works out, for each
 * device that was offered but not chosen, what the set would have been worth with it.
 */
#include "alternatives.h"

#include "models.h"
#include "size.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETS_MAX = 20000, POOL_MAX = 24 };
/* With more devices than this, each partition is a slow search. */
enum { PARTITIONED_MAX = 16 };

/* A set that may become an alternative. */
struct set {
	size_t *numbers;
	size_t count;
	int64_t value; /* what the policy makes of it */
	struct ga_worth worth;
};

struct ranking {
	gpualloc_choice *choice;
	const struct ga_question *question;
	const struct ga_asked *asked;
	bool one_model;
	bool by_topology;
	const size_t *chosen;
	struct set pool[POOL_MAX];
	size_t pool_count;
};

static void free_pool(struct ranking *ranking)
{
	for (size_t i = 0; i < ranking->pool_count; i++)
		free(ranking->pool[i].numbers);
}
#define auto_ranking ga_cleanup(free_pool)

static bool in_set(const size_t *set, size_t count, size_t number)
{
	for (size_t i = 0; i < count; i++)
		if (set[i] == number)
			return true;
	return false;
}

static bool is_allowed(const struct ranking *ranking, const size_t *set)
{
	const struct ga_question *question = ranking->question;
	bool same = true;

	for (size_t i = 0; i < question->required_count; i++)
		if (!in_set(set, question->want, question->required[i]))
			return false;
	for (size_t i = 0; i < question->want; i++) {
		same = same && in_set(ranking->chosen, question->want, set[i]);
		if (ranking->one_model &&
		    !ga_text_same(ga_model_of(&ranking->question->candidates[set[i]]),
				  ga_model_of(&ranking->question->candidates[set[0]])))
			return false;
	}
	return !same;
}

static bool is_better(const struct set *a, const struct set *b)
{
	if (a->value != b->value)
		return a->value > b->value;
	if (a->worth.bandwidth != b->worth.bandwidth)
		return a->worth.bandwidth > b->worth.bandwidth;
	return a->worth.fit > b->worth.fit;
}

static int measure(const struct ranking *ranking, const size_t *numbers, struct set *ret_set)
{
	ret_set->count = ranking->question->want;
	ret_set->value = GA_UNKNOWN;
	return ga_choice_measure(ranking->question, numbers, &ret_set->worth);
}

static void sort_numbers(size_t *numbers, size_t count)
{
	for (size_t i = 1; i < count; i++)
		for (size_t j = i; j > 0 && numbers[j - 1] > numbers[j]; j--) {
			size_t less = numbers[j];

			numbers[j] = numbers[j - 1];
			numbers[j - 1] = less;
		}
}

static int pool_insert(struct ranking *ranking, const struct set *found, const size_t *numbers)
{
	struct set *pool = ranking->pool;
	size_t at = ranking->pool_count, want = ranking->question->want;
	size_t *copy;

	while (at > 0 && is_better(found, &pool[at - 1]))
		at--;
	if (at == POOL_MAX)
		return 0;
	copy = malloc(want * sizeof *copy);
	if (!copy)
		return GPUALLOC_ENOMEM;
	memcpy(copy, numbers, want * sizeof *copy);
	sort_numbers(copy, want);
	if (ranking->pool_count == POOL_MAX)
		free(pool[--ranking->pool_count].numbers);
	memmove(&pool[at + 1], &pool[at], (ranking->pool_count - at) * sizeof *pool);
	pool[at] = *found;
	pool[at].numbers = copy;
	ranking->pool_count++;
	return 0;
}

static int consider(struct ranking *ranking, const size_t *numbers)
{
	struct set found = {0};
	int result;

	if (!is_allowed(ranking, numbers))
		return 0;
	result = measure(ranking, numbers, &found);
	return result < 0 ? result : pool_insert(ranking, &found, numbers);
}

/* Whether there are at most SETS_MAX ways to take k out of n. */
static bool are_few(size_t n, size_t k)
{
	size_t sets = 1;

	for (size_t i = 1; i <= k; i++) {
		sets = sets * (n - k + i) / i;
		if (sets > SETS_MAX)
			return false;
	}
	return true;
}

static int look_at_all(struct ranking *ranking, size_t *set)
{
	size_t n = ranking->question->candidate_count, k = ranking->question->want;

	for (size_t i = 0; i < k; i++)
		set[i] = i;
	for (;;) {
		size_t at = k;
		int result = consider(ranking, set);

		if (result < 0)
			return result;
		while (at > 0 && set[at - 1] == n - k + at - 1)
			at--;
		if (at == 0)
			return 0;
		set[at - 1]++;
		for (size_t i = at; i < k; i++)
			set[i] = set[i - 1] + 1;
	}
}

static int look_at_neighbours(struct ranking *ranking, size_t *set)
{
	size_t k = ranking->question->want;

	for (size_t out = 0; out < k; out++)
		for (size_t in = 0; in < ranking->question->candidate_count; in++) {
			int result;

			if (in_set(ranking->chosen, k, in))
				continue;
			memcpy(set, ranking->chosen, k * sizeof *set);
			set[out] = in;
			result = consider(ranking, set);
			if (result < 0)
				return result;
		}
	return 0;
}

/* ---- what a set is worth to the policy ---- */

/*
 * Asks the policy what exactly these devices are worth to it. NOT_TAKEN if it would never take
 * them, as with a policy of fixed sets.
 */
enum { NOT_TAKEN = 1 };

static bool is_cheap_to_ask(const struct ranking *ranking)
{
	/* A caller's own policy has no value to report and may have side effects. */
	return !ranking->asked->own && (!ranking->asked->built_in->by_partition ||
					ranking->question->candidate_count <= PARTITIONED_MAX);
}

static int value_set(const struct ranking *ranking, struct set *set)
{
	struct ga_question question = *ranking->question;
	ga_auto_free struct ga_candidate *candidates =
		calloc(question.candidate_count, sizeof *candidates);
	ga_auto_free size_t *required = calloc(question.want, sizeof *required);
	ga_auto_answer struct ga_answer answer = {0};
	int result;

	if (!candidates || !required)
		return GPUALLOC_ENOMEM;
	if (!is_cheap_to_ask(ranking))
		return 0;
	question.candidate_count = question.required_count = 0;
	for (size_t i = 0; i < ranking->question->candidate_count; i++) {
		if (ranking->one_model &&
		    !ga_text_same(ga_model_of(&ranking->question->candidates[i]),
				  ga_model_of(&ranking->question->candidates[set->numbers[0]])))
			continue;
		if (in_set(set->numbers, question.want, i))
			required[question.required_count++] = question.candidate_count;
		candidates[question.candidate_count++] = ranking->question->candidates[i];
	}
	question.candidates = candidates;
	question.required = required;
	result = ga_ask(ranking->asked, &question, &answer, NULL);
	if (result < 0)
		return result == GPUALLOC_ENOMEM ? result : NOT_TAKEN;
	set->value = answer.value;
	return 0;
}

static int compare_sets(const void *a, const void *b)
{
	const struct set *one = a, *other = b;

	if (is_better(one, other) || is_better(other, one))
		return is_better(one, other) ? -1 : 1;
	/* In the order they were offered: the same machine always gives the same list. */
	for (size_t i = 0; i < one->count; i++)
		if (one->numbers[i] != other->numbers[i])
			return one->numbers[i] < other->numbers[i] ? -1 : 1;
	return 0;
}

static int keep_best(struct ranking *ranking)
{
	gpualloc_choice *choice = ranking->choice;
	size_t kept = 0, want = ranking->question->want;

	for (size_t i = 0; i < ranking->pool_count; i++) {
		struct set set = ranking->pool[i];
		int result = value_set(ranking, &set);

		if (result < 0)
			return result;
		ranking->pool[i] = ranking->pool[kept];
		ranking->pool[kept] = set;
		kept += result != NOT_TAKEN;
	}
	qsort(ranking->pool, kept, sizeof *ranking->pool, compare_sets);
	for (size_t i = 0; i < kept && i < GA_ALTERNATIVES_MAX; i++) {
		const struct set *set = &ranking->pool[i];
		const gpualloc_device **devices = calloc(want, sizeof *devices);

		if (!devices)
			return GPUALLOC_ENOMEM;
		for (size_t d = 0; d < want; d++)
			devices[d] = ranking->question->candidates[set->numbers[d]].device;
		choice->alternatives[choice->alternative_count++] = (struct gpualloc_alternative){
			devices, want, set->value, set->worth.score, set->worth.bandwidth};
	}
	return 0;
}

/* ---- why the others were not chosen ---- */

/*
 * The best set in which the candidate replaces one of the chosen. Returns 1 if there is one, 0 if
 * none is allowed, or GPUALLOC_ENOMEM.
 */
static int best_with(struct ranking *ranking, size_t number, size_t *numbers, size_t *ret_out,
		     struct set *ret_best)
{
	const struct ga_question *question = ranking->question;
	int any = 0;

	for (size_t out = 0; out < question->want; out++) {
		struct set found = {0};

		memcpy(numbers, ranking->chosen, question->want * sizeof *numbers);
		numbers[out] = number;
		if (!is_allowed(ranking, numbers))
			continue;
		if (measure(ranking, numbers, &found) < 0)
			return GPUALLOC_ENOMEM;
		if (!any || is_better(&found, ret_best)) {
			*ret_best = found;
			*ret_out = out;
		}
		any = 1;
	}
	return any;
}

static void say_what_is_less(const struct ranking *ranking, const struct set *best, size_t out,
			     char reason[static GA_REASON_SIZE])
{
	const gpualloc_choice *choice = ranking->choice;
	char id[GA_DEVICE_ID_SIZE];
	size_t length = 0;

	(void)ga_device_id(choice->devices[out], id);
	if ((best->value < 0 || best->value == choice->answer.value) &&
	    best->worth.bandwidth == choice->bandwidth && best->worth.score == choice->score) {
		(void)snprintf(reason, GA_REASON_SIZE, "free, and worth the same in place of %s",
			       id);
		return;
	}
	length = (size_t)snprintf(reason, GA_REASON_SIZE, "free, but in place of %s:", id);
	if (best->worth.bandwidth >= 0)
		length += (size_t)snprintf(
			reason + length, GA_REASON_SIZE - length, " %lld.%lld GB/s, score %lld%s",
			(long long)best->worth.bandwidth / 1000,
			(long long)best->worth.bandwidth % 1000 / 100, (long long)best->worth.score,
			best->value >= 0 ? "," : "");
	if (best->value >= 0)
		(void)snprintf(reason + length, GA_REASON_SIZE - length, " value %lld",
			       (long long)best->value);
}

static void say_who_came_first(const struct ranking *ranking, size_t number,
			       char reason[static GA_REASON_SIZE])
{
	int64_t room = ranking->question->candidates[number].free;
	char text[GA_SIZE_TEXT];

	if (room >= 0)
		(void)snprintf(reason, GA_REASON_SIZE, "has %s free; policy %s took others first",
			       ga_size_text(room, text), ranking->choice->policy);
	else
		(void)snprintf(reason, GA_REASON_SIZE, "free; policy %s took others first",
			       ranking->choice->policy);
}

static int say_why_not(struct ranking *ranking, size_t number, size_t *numbers)
{
	struct ga_selection *selection = &ranking->choice->selection;
	struct gpualloc_rejection *rejection = &selection->rejections[selection->rejection_count++];
	struct set best = {.numbers = numbers};
	size_t out = 0;
	int result = best_with(ranking, number, numbers, &out, &best);

	rejection->device = ranking->question->candidates[number].device;
	rejection->for_now = true;
	if (result < 0)
		return result;
	if (result == 0) {
		(void)snprintf(rejection->reason, sizeof rejection->reason,
			       "free, but it does not fit together with the required devices");
		return 0;
	}
	if (!ranking->by_topology) {
		say_who_came_first(ranking, number, rejection->reason);
		return 0;
	}
	memcpy(numbers, ranking->chosen, ranking->question->want * sizeof *numbers);
	numbers[out] = number;
	best.numbers = numbers;
	result = value_set(ranking, &best);
	if (result == NOT_TAKEN)
		(void)snprintf(
			rejection->reason, sizeof rejection->reason,
			"free, but policy %s has no set of this device and the others chosen",
			ranking->choice->policy);
	else if (result == 0)
		say_what_is_less(ranking, &best, out, rejection->reason);
	return result < 0 ? result : 0;
}

static int compare_numbers(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

/* In the machine's order. */
static int compare_rejections(const void *a, const void *b)
{
	const gpualloc_device *one = ((const struct gpualloc_rejection *)a)->device;
	const gpualloc_device *other = ((const struct gpualloc_rejection *)b)->device;
	int result = compare_numbers((one->parent ? one->parent : one)->index,
				     (other->parent ? other->parent : other)->index);

	return result ? result : compare_numbers(one->index, other->index);
}

int ga_choice_find_alternatives(gpualloc_choice *choice, const struct ga_question *question,
				const struct ga_asked *asked, bool one_model, gpualloc_error *error)
{
	ga_auto_free size_t *set = calloc(question->want, sizeof *set);
	auto_ranking struct ranking ranking = {
		.choice = choice,
		.question = question,
		.asked = asked,
		.one_model = one_model,
		.by_topology = ga_asked_by_topology(asked),
		.chosen = choice->answer.chosen,
	};
	int result = 0;

	if (!set)
		return ga_error_memory(error);
	if (ranking.by_topology)
		result = are_few(question->candidate_count, question->want)
				 ? look_at_all(&ranking, set)
				 : look_at_neighbours(&ranking, set);
	if (result == 0)
		result = keep_best(&ranking);
	for (size_t i = 0; result == 0 && i < question->candidate_count; i++)
		if (!in_set(ranking.chosen, question->want, i))
			result = say_why_not(&ranking, i, set);
	qsort(choice->selection.rejections, choice->selection.rejection_count,
	      sizeof *choice->selection.rejections, compare_rejections);
	return result < 0 ? ga_error_memory(error) : 0;
}
