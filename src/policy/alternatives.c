/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The next best sets beside a chosen one, by predicted bandwidth and then by pair score. Where
 * there are few sets all are looked at; else those that differ from the chosen one in one device.
 * And of each device that was offered and not chosen, what it would have made of the set.
 */
#include "decide.h"

#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETS_MAX = 20000 };

struct ranking {
	gpualloc_choice *choice;
	const struct ga_question *question;
	bool one_model;
	size_t *places; /* room for one set */
	const size_t *chosen;
};

static bool in_set(const size_t *set, size_t count, size_t number)
{
	for (size_t i = 0; i < count; i++)
		if (set[i] == number)
			return true;
	return false;
}

static const char *model_of(const struct ranking *ranking, size_t number)
{
	const gpualloc_device *device = ranking->question->candidates[number].device;

	return device->parent ? device->parent->name : device->name;
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
		    !ga_text_same(model_of(ranking, set[i]), model_of(ranking, set[0])))
			return false;
	}
	return !same;
}

static bool is_better(const struct ga_alternative *a, const struct ga_alternative *b)
{
	return a->bandwidth != b->bandwidth ? a->bandwidth > b->bandwidth : a->score > b->score;
}

static int insert(struct ranking *ranking, const struct ga_alternative *found, const size_t *set)
{
	gpualloc_choice *choice = ranking->choice;
	struct ga_alternative *list = choice->alternatives;
	size_t at = choice->alternative_count, want = ranking->question->want;
	const gpualloc_device **devices;

	while (at > 0 && is_better(found, &list[at - 1]))
		at--;
	if (at == GA_ALTERNATIVES_MAX)
		return 0;
	devices = calloc(want, sizeof *devices);
	if (!devices)
		return GPUALLOC_ENOMEM;
	for (size_t i = 0; i < want; i++)
		devices[i] = ranking->question->candidates[set[i]].device;
	if (choice->alternative_count == GA_ALTERNATIVES_MAX)
		free(list[--choice->alternative_count].devices);
	memmove(&list[at + 1], &list[at], (choice->alternative_count - at) * sizeof *list);
	list[at] = *found;
	list[at].devices = devices;
	choice->alternative_count++;
	return 0;
}

static int consider(struct ranking *ranking, const size_t *set)
{
	const struct ga_question *question = ranking->question;
	struct ga_alternative found = {0};

	if (!is_allowed(ranking, set))
		return 0;
	for (size_t i = 0; i < question->want; i++)
		ranking->places[i] = question->candidates[set[i]].place;
	found.score = ga_set_score(question->machine, ranking->places, question->want);
	found.bandwidth = ga_set_bandwidth(question->machine, ranking->places, question->want);
	return found.bandwidth == GPUALLOC_ENOMEM ? GPUALLOC_ENOMEM : insert(ranking, &found, set);
}

/* Whether there are at most SETS_MAX ways to take k of n. */
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

/* ---- why not the others ---- */

/* The best set in which the candidate takes the place of one chosen; false where none is allowed.
 */
static bool best_with(struct ranking *ranking, size_t number, size_t *set, size_t *ret_out,
		      struct ga_alternative *ret_best)
{
	const struct ga_question *question = ranking->question;
	bool any = false;

	for (size_t out = 0; out < question->want; out++) {
		struct ga_alternative found = {0};

		memcpy(set, ranking->chosen, question->want * sizeof *set);
		set[out] = number;
		if (!is_allowed(ranking, set))
			continue;
		for (size_t i = 0; i < question->want; i++)
			ranking->places[i] = question->candidates[set[i]].place;
		found.score = ga_set_score(question->machine, ranking->places, question->want);
		found.bandwidth =
			ga_set_bandwidth(question->machine, ranking->places, question->want);
		if (!any || is_better(&found, ret_best)) {
			*ret_best = found;
			*ret_out = out;
		}
		any = true;
	}
	return any;
}

static void say_why_not(struct ranking *ranking, size_t number, bool by_topology, size_t *set)
{
	gpualloc_choice *choice = ranking->choice;
	struct ga_selection *selection = &choice->selection;
	struct ga_rejection *rejection = &selection->rejections[selection->rejection_count++];
	struct ga_alternative best = {0};
	char id[GA_DEVICE_ID_SIZE];
	size_t out = 0;

	rejection->device = ranking->question->candidates[number].device;
	rejection->for_now = true;
	if (!best_with(ranking, number, set, &out, &best))
		(void)snprintf(rejection->reason, sizeof rejection->reason,
			       "free, but it does not go with what is required");
	else if (!by_topology)
		(void)snprintf(rejection->reason, sizeof rejection->reason,
			       "free too; policy %s preferred the chosen", choice->policy);
	else
		(void)snprintf(rejection->reason, sizeof rejection->reason,
			       "free, but in place of %s it gives %lld.%lld GB/s and score %lld "
			       "(chosen: %lld.%lld GB/s, %lld)",
			       ga_device_id(choice->devices[out], id),
			       (long long)best.bandwidth / 1000,
			       (long long)best.bandwidth % 1000 / 100, (long long)best.score,
			       (long long)choice->bandwidth / 1000,
			       (long long)choice->bandwidth % 1000 / 100, (long long)choice->score);
}

int ga_choice_find_alternatives(gpualloc_choice *choice, const struct ga_question *question,
				bool one_model, bool by_topology, gpualloc_error *error)
{
	ga_auto_free size_t *places = calloc(question->want, sizeof *places);
	ga_auto_free size_t *set = calloc(question->want, sizeof *set);
	struct ranking ranking = {choice, question, one_model, places, choice->answer.chosen};
	int result;

	if (!places || !set)
		return ga_error_memory(error);
	result = !by_topology ? 0
		 : are_few(question->candidate_count, question->want)
			 ? look_at_all(&ranking, set)
			 : look_at_neighbours(&ranking, set);
	for (size_t i = 0; result == 0 && i < question->candidate_count; i++)
		if (!in_set(ranking.chosen, question->want, i))
			say_why_not(&ranking, i, by_topology, set);
	return result < 0 ? ga_error_memory(error) : 0;
}
