/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of few GPUs all sets are there. Of more, those that are best in the states that a node may be in:
 * states are drawn, always the same ones, and sets are added as long as they make most of a
 * difference; see sets.h.
 */
#include "sets.h"

#include "error.h"
#include "owned.h"
#include "text.h"

#include <string.h>

enum {
	ALL_GPUS = 9,     /* with so many GPUs every set is published */
	STATES = 256,     /* that are drawn for one size */
	PAIRS_MOST = 128, /* sets of two */
	EVEN_MOST = 48,   /* of 4, 8, 16, which are asked for most */
	OTHER_MOST = 8,
	PERFECT = 1 << 20
};

struct making {
	const gpualloc_machine *machine;
	const size_t *gpus;
	size_t count;
	gpualloc_policy *bandwidth, *balanced;
	uint64_t random;
	struct ranked_sets *sets;
	gpualloc_error *error;
};

void ranked_sets_free(struct ranked_sets *sets)
{
	free(sets->list);
	free(sets->alone);
	*sets = (struct ranked_sets){0};
}

/* xorshift: the same at every start. */
static uint64_t draw(struct making *making, uint64_t below)
{
	making->random ^= making->random << 13;
	making->random ^= making->random >> 7;
	making->random ^= making->random << 17;
	return making->random % below;
}

static size_t list_members(const struct making *making, uint32_t members, size_t numbers[SET_MOST])
{
	size_t size = 0;

	for (size_t i = 0; i < making->count; i++)
		if (members >> i & 1)
			numbers[size++] = making->gpus[i];
	return size;
}

static int measure(const struct making *making, uint32_t members, int64_t *ret_bandwidth)
{
	size_t numbers[SET_MOST], size = list_members(making, members, numbers);
	int64_t score;

	return gpualloc_machine_score(making->machine, numbers, size, &score, ret_bandwidth,
				      making->error);
}

/* What a policy takes of these; all GPUs of required are among it. */
static int ask(const struct making *making, const gpualloc_policy *policy, uint32_t free,
	       uint32_t required, size_t size, uint32_t *ret_members, int64_t *ret_value)
{
	auto_question gpualloc_question *question = NULL;
	auto_choice gpualloc_choice *choice = NULL;
	size_t numbers[SET_MOST], count = list_members(making, free, numbers);
	int result = gpualloc_question_new(making->machine, &question, making->error);

	if (result == 0)
		result = gpualloc_question_set_candidates(question, numbers, count, making->error);
	if (result == 0 && required)
		result = gpualloc_question_set_required(
			question, numbers, list_members(making, required, numbers), making->error);
	if (result < 0)
		return result;
	gpualloc_question_set_count(question, size);
	result = gpualloc_choose_among(question, policy, &choice, making->error);
	*ret_members = 0;
	*ret_value = result < 0 ? -1 : gpualloc_choice_value(choice);
	for (size_t i = 0; result == 0 && i < gpualloc_choice_device_count(choice); i++) {
		int64_t number =
			gpualloc_device_number(making->machine, gpualloc_choice_device(choice, i));

		for (size_t j = 0; j < making->count; j++)
			if ((int64_t)making->gpus[j] == number)
				*ret_members |= 1U << j;
	}
	return result;
}

static uint32_t all_of(const struct making *making)
{
	return making->count == SET_MOST ? UINT32_MAX : (1U << making->count) - 1;
}

/* ---- one GPU ---- */

/* Again and again the one whose loss hurts least. */
static int order_alone(struct making *making)
{
	uint32_t free = all_of(making), taken;
	int64_t value;
	int result = 0;

	for (size_t i = 0; result == 0 && i < making->count; i++) {
		result = ask(making, making->balanced, free, 0, 1, &taken, &value);
		if (result < 0 || !taken)
			taken = free & -free;
		making->sets->alone[i] = (size_t)__builtin_ctz(taken);
		free &= ~taken;
	}
	return result;
}

/* ---- the list ---- */

/* A set is of one model, as policies choose. */
static bool is_mixed(const struct making *making, uint32_t members)
{
	const char *model = NULL;

	for (size_t i = 0; i < making->count; i++) {
		const char *one;

		if (!(members >> i & 1))
			continue;
		one = gpualloc_device_name(
			gpualloc_machine_device(making->machine, making->gpus[i]));
		if (model && !ga_text_same(model, one))
			return true;
		model = one;
	}
	return false;
}

static int add(struct making *making, uint32_t members)
{
	struct ranked_set *set = &making->sets->list[making->sets->count];
	uint32_t ignored;
	int result;

	*set = (struct ranked_set){.members = members,
				   .size = (uint32_t)__builtin_popcount(members)};
	result = measure(making, members, &set->bandwidth);
	if (result == 0)
		result = ask(making, making->balanced, all_of(making), members, set->size, &ignored,
			     &set->value);
	making->sets->count += result == 0;
	return result;
}

static int add_all(struct making *making)
{
	int result = 0;

	for (uint32_t members = 1; result == 0 && members <= all_of(making); members++)
		if (__builtin_popcount(members) >= 2 && !is_mixed(making, members))
			result = add(making, members);
	return result;
}

/* ---- a choice ---- */

struct state {
	uint32_t free, best;
	int64_t optimum; /* the bandwidth of best */
	int32_t share;   /* of it that the sets added so far reach */
};

static int32_t share_of(int64_t bandwidth, int64_t optimum)
{
	if (optimum <= 0 || bandwidth >= optimum)
		return PERFECT;
	return (int32_t)(bandwidth * PERFECT / optimum);
}

/* Some GPUs are taken: any, or those that jobs have that came one after the other. */
static int draw_free(struct making *making, size_t size, bool by_jobs, uint32_t *ret_free)
{
	size_t left = size + draw(making, making->count - size + 1), count = making->count;
	uint32_t free = all_of(making), taken;
	int64_t value;
	int result = 0;

	while (result == 0 && count > left) {
		size_t job = by_jobs ? 1 + draw(making, count - left) : 1;

		if (by_jobs) {
			result = ask(making, making->bandwidth, free, 0, job, &taken, &value);
		} else {
			taken = 1U << draw(making, making->count);
			taken &= free;
		}
		free &= ~taken;
		count = (size_t)__builtin_popcount(free);
	}
	*ret_free = free;
	return result;
}

static int draw_states(struct making *making, size_t size, struct state *states)
{
	int64_t value;
	int result = 0;

	for (size_t i = 0; result == 0 && i < STATES; i++) {
		struct state *state = &states[i];

		state->free = all_of(making);
		if (i > 0)
			result = draw_free(making, size, i % 2, &state->free);
		if (result == 0)
			result = ask(making, making->bandwidth, state->free, 0, size, &state->best,
				     &value);
		if (result == 0)
			result = measure(making, state->best, &state->optimum);
	}
	return result;
}

static int64_t gain_of(const struct state *states, const struct state *set)
{
	int64_t gain = 0;

	for (size_t i = 0; i < STATES; i++)
		if ((set->best & ~states[i].free) == 0) {
			int32_t share = share_of(set->optimum, states[i].optimum);

			gain += share > states[i].share ? share - states[i].share : 0;
		}
	return gain;
}

static void take_gain(struct state *states, const struct state *set)
{
	for (size_t i = 0; i < STATES; i++)
		if ((set->best & ~states[i].free) == 0) {
			int32_t share = share_of(set->optimum, states[i].optimum);

			states[i].share = share > states[i].share ? share : states[i].share;
		}
}

/* First the best of an idle machine, then whatever makes most of a difference. */
static int add_best(struct making *making, size_t size, size_t most)
{
	ga_auto_free struct state *states = calloc(STATES, sizeof *states);
	const struct state *best = states;
	int result = states ? draw_states(making, size, states) : ga_error_memory(making->error);

	for (size_t i = 0; result == 0 && i < most && best; i++) {
		int64_t most_gain = 0;

		result = is_mixed(making, best->best) ? 0 : add(making, best->best);
		take_gain(states, best);
		best = NULL;
		for (size_t j = 0; j < STATES; j++) {
			int64_t gain = gain_of(states, &states[j]);

			if (gain > most_gain) {
				most_gain = gain;
				best = &states[j];
			}
		}
	}
	return result;
}

static int add_pairs(struct making *making)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < making->count; i++)
		for (size_t j = i + 1; result == 0 && j < making->count; j++)
			if (!is_mixed(making, 1U << i | 1U << j))
				result = add(making, 1U << i | 1U << j);
	return result;
}

static int add_some(struct making *making)
{
	size_t pairs = making->count * (making->count - 1) / 2;
	int result = 0;

	for (size_t size = 2; result == 0 && size <= making->count; size++) {
		bool is_even = (size & (size - 1)) == 0;

		if (size == 2 && pairs <= PAIRS_MOST)
			result = add_pairs(making);
		else
			result = add_best(making, size,
					  size == 2 ? PAIRS_MOST
					  : is_even ? EVEN_MOST
						    : OTHER_MOST);
	}
	return result;
}

/* ---- whether it matters ---- */

/* Sets of one size that differ; of many, some are looked at. */
static int look_for_difference(struct making *making, bool *ret_differ)
{
	int result = 0;

	*ret_differ = false;
	for (size_t size = 2; size < making->count; size++) {
		int64_t first = -1, other;

		for (size_t i = 0; result == 0 && !*ret_differ && i < STATES; i++) {
			uint32_t members = 0;

			while ((size_t)__builtin_popcount(members) < size)
				members |= 1U << draw(making, making->count);
			result = measure(making, members, i ? &other : &first);
			*ret_differ = result == 0 && i && other != first;
		}
	}
	return result;
}

/* Lower numbers first, as people count: the lowest in which they differ decides. */
static bool is_earlier(uint32_t one, uint32_t other)
{
	uint32_t differ = one ^ other;

	return (one & differ & -differ) != 0;
}

static int by_worth(const void *a, const void *b)
{
	const struct ranked_set *one = a, *other = b;

	if (one->size != other->size)
		return one->size < other->size ? -1 : 1;
	if (one->bandwidth != other->bandwidth)
		return one->bandwidth > other->bandwidth ? -1 : 1;
	if (one->value != other->value)
		return one->value > other->value ? -1 : 1;
	return is_earlier(one->members, other->members) ? -1 : 1;
}

static int make(struct making *making)
{
	bool differ = false;
	int result;

	making->sets->alone = calloc(making->count + 1, sizeof *making->sets->alone);
	if (!making->sets->alone)
		return ga_error_memory(making->error);
	making->sets->gpus = making->count;
	for (size_t i = 0; i < making->count; i++)
		making->sets->alone[i] = i;
	if (making->count > SET_MOST)
		return 0;
	result = order_alone(making);
	if (result == 0)
		result = look_for_difference(making, &differ);
	if (result < 0 || !differ)
		return result;
	making->sets->list = calloc(SETS_MOST, sizeof *making->sets->list);
	if (!making->sets->list)
		return ga_error_memory(making->error);
	result = making->count <= ALL_GPUS ? add_all(making) : add_some(making);
	if (result == 0)
		qsort(making->sets->list, making->sets->count, sizeof *making->sets->list,
		      by_worth);
	return result;
}

int ranked_sets_make(const gpualloc_machine *machine, const size_t *gpus, size_t count,
		     struct ranked_sets *ret_sets, gpualloc_error *error)
{
	auto_policy gpualloc_policy *bandwidth = NULL, *balanced = NULL;
	struct ranked_sets sets = {0};
	struct making making = {.machine = machine,
				.gpus = gpus,
				.count = count,
				.random = 88172645463325252,
				.sets = &sets,
				.error = error};
	int result = gpualloc_policy_open("bandwidth", &bandwidth, error);

	if (result == 0)
		result = gpualloc_policy_open("balanced", &balanced, error);
	making.bandwidth = bandwidth;
	making.balanced = balanced;
	if (result == 0)
		result = make(&making);
	if (result < 0)
		ranked_sets_free(&sets);
	else
		*ret_sets = sets;
	return result;
}
