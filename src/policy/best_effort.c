/* SPDX-License-Identifier: Apache-2.0 */
/*
 * best-effort: takes the partition of the candidates into groups of the wanted size with the
 * highest total pair score, and from it the full group with the highest score that holds the
 * required devices. So a choice also leaves good groups behind. Ties go to the first in the order
 * given. Values are totals of partitions: 0 for one device, the set's score if all are wanted.
 */
#include "policy.h"

#include "cleanup.h"
#include "partition/partition.h"

enum { FEW = 8 }; /* up to this many, everything but the answer is on the stack */

static void fill_weights(const struct ga_question *question, int32_t *weights)
{
	const size_t count = question->candidate_count;

	for (size_t i = 0; i < count; i++) {
		weights[i * count + i] = 0;
		for (size_t j = 0; j < i; j++) {
			int64_t score =
				ga_pair_score(question->machine, question->candidates[i].place,
					      question->candidates[j].place);

			weights[i * count + j] = (int32_t)score;
			weights[j * count + i] = (int32_t)score;
		}
	}
}

static int64_t group_weight(const struct ga_part_problem *problem, const uint16_t *groups,
			    uint16_t group)
{
	const size_t count = problem->count;
	int64_t weight = 0;

	for (size_t i = 0; i < count; i++) {
		if (groups[i] != group)
			continue;
		for (size_t j = i + 1; j < count; j++)
			if (groups[j] == group)
				weight += problem->weights[i * count + j];
	}
	return weight;
}

static bool is_full(const struct ga_part_problem *problem, const uint16_t *groups, uint16_t group)
{
	size_t members = 0;

	for (size_t i = 0; i < problem->count; i++)
		members += groups[i] == group;
	return members == problem->size;
}

/*
 * The first of the full groups with the highest weight, or the one that holds the required devices.
 */
static uint16_t pick_group(const struct ga_part_problem *problem, const uint16_t *groups)
{
	const size_t group_count = (problem->count + problem->size - 1) / problem->size;
	uint16_t best = 0;
	int64_t best_weight = -1;

	if (problem->required_count > 0)
		return groups[problem->required[0]];
	for (uint16_t group = 0; group < group_count; group++) {
		if (!is_full(problem, groups, group))
			continue;

		int64_t weight = group_weight(problem, groups, group);

		if (weight > best_weight) {
			best_weight = weight;
			best = group;
		}
	}
	return best;
}

static int choose_by_partition(const struct ga_question *question, int32_t *weights,
			       uint16_t *groups, struct ga_answer *answer, gpualloc_error *error)
{
	const struct ga_part_problem problem = {
		.count = question->candidate_count,
		.size = question->want,
		.weights = weights,
		.required = question->required,
		.required_count = question->required_count,
		.budget = question->budget,
	};
	struct ga_part_result partition = {.group = groups};

	fill_weights(question, weights);
	if (!ga_part_solve(&problem, &partition))
		return ga_error_memory(error);

	uint16_t group = pick_group(&problem, groups);

	answer->count = 0;
	for (size_t i = 0; i < problem.count && answer->count < question->want; i++)
		if (groups[i] == group)
			answer->chosen[answer->count++] = i;
	answer->value = partition.value;
	answer->bound = partition.bound;
	answer->proven = partition.proven;
	answer->transitions = partition.transitions;
	return 0;
}

/* For one device, or all, there is nothing to search. */
static void choose_directly(const struct ga_question *question, struct ga_answer *answer)
{
	const size_t count = question->candidate_count;

	answer->count = question->want;
	answer->proven = true;
	if (question->want == 1) {
		answer->chosen[0] = question->required_count > 0 ? question->required[0] : 0;
		return;
	}
	for (size_t i = 0; i < count; i++) {
		answer->chosen[i] = i;
		for (size_t j = 0; j < i; j++)
			answer->value +=
				ga_pair_score(question->machine, question->candidates[i].place,
					      question->candidates[j].place);
	}
	answer->bound = answer->value;
}

/* More devices than any known machine has: takes the required, then the first ones, unproven. */
static void choose_first(const struct ga_question *question, struct ga_answer *answer)
{
	const size_t count = question->candidate_count;
	size_t left = question->want - question->required_count;

	for (size_t i = 0; i < count && answer->count < question->want; i++) {
		bool required = false;

		for (size_t j = 0; j < question->required_count; j++)
			required |= question->required[j] == i;
		if (required || left > 0)
			answer->chosen[answer->count++] = i;
		if (!required && left > 0)
			left--;
	}
	answer->value = GA_UNKNOWN;
	answer->bound = GA_UNKNOWN;
}

static int choose_among_many(const struct ga_question *question, struct ga_answer *answer,
			     gpualloc_error *error)
{
	const size_t count = question->candidate_count;
	ga_auto_free int32_t *weights = calloc(count, count * sizeof *weights);
	ga_auto_free uint16_t *groups = calloc(count, sizeof *groups);

	if (!weights || !groups)
		return ga_error_memory(error);
	return choose_by_partition(question, weights, groups, answer, error);
}

/* Whether there is an answer at all. The caller has checked this and reported why not. */
static bool makes_sense(const struct ga_question *question)
{
	if (question->want == 0 || question->want > question->candidate_count ||
	    question->required_count > question->want)
		return false;
	for (size_t i = 0; i < question->required_count; i++)
		if (question->required[i] >= question->candidate_count)
			return false;
	return true;
}

static int choose(const struct ga_question *question, struct ga_answer *ret_answer,
		  gpualloc_error *error)
{
	ga_auto_answer struct ga_answer answer = {0};
	const size_t count = question->candidate_count;
	int result = 0;

	if (!makes_sense(question))
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "cannot choose %zu devices of %zu with %zu of them required",
				    question->want, count, question->required_count);
	answer.chosen = calloc(question->want, sizeof *answer.chosen);
	if (!answer.chosen)
		return ga_error_memory(error);
	if (question->want == 1 || question->want == count) {
		choose_directly(question, &answer);
	} else if (count <= FEW) {
		int32_t weights[FEW * FEW];
		uint16_t groups[FEW];

		result = choose_by_partition(question, weights, groups, &answer, error);
	} else if (count <= GA_PART_MAX) {
		result = choose_among_many(question, &answer, error);
	} else {
		choose_first(question, &answer);
	}
	if (result < 0)
		return result;
	*ret_answer = answer;
	answer = (struct ga_answer){0};
	return 0;
}

const struct ga_policy ga_policy_best_effort = {
	.name = "best-effort",
	.description = "like go-gpuallocator: the best partition into groups of the wanted size",
	.by_topology = true,
	.by_partition = true,
	.choose = choose,
};
