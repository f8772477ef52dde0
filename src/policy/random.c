/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random: all sets are equally likely. It is a pure function of its seed; for an unpredictable
 * choice, use an unpredictable seed.
 */
#include "answer.h"
#include "cleanup.h"

#include <string.h>

/* SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). */
static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/*
 * A number below limit, all equally likely: numbers above the last whole multiple are drawn again.
 */
static uint64_t below(uint64_t *state, uint64_t limit)
{
	uint64_t surplus = (UINT64_MAX % limit + 1) % limit;
	uint64_t number;

	do
		number = next(state);
	while (number > UINT64_MAX - surplus);
	return number % limit;
}

/*
 * Takes each of the remaining candidates with the probability it needs (Knuth's selection
 * sampling).
 */
static int choose(const struct ga_question *question, struct ga_answer *ret_answer,
		  gpualloc_error *error)
{
	size_t left = question->candidate_count - question->required_count;
	uint64_t state = question->seed;
	int result = ga_answer_begin(question, ret_answer, error);

	for (size_t i = 0; result == 0 && ret_answer->count < question->want; i++) {
		if (ga_question_requires(question, i))
			continue;
		if (below(&state, left--) < question->want - ret_answer->count)
			ret_answer->chosen[ret_answer->count++] = i;
	}
	return result;
}

const struct ga_policy ga_policy_random = {
	.name = "random",
	.description = "any devices, all sets equally likely",
	.by_memory = true,
	.by_chance = true,
	.choose = choose,
};
