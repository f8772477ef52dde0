/* SPDX-License-Identifier: Apache-2.0 */
/* The engines that solve partitions agree, prove what they should, and keep to their budget. */
#include "partition_engine.h"
#include "partition_shapes.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES_MAX = 1024 };

static void problem_new(struct ga_partition_problem *problem, const struct ga_question *question)
{
	const size_t count = question->candidate_count;
	int32_t *weights = calloc(count, count * sizeof *weights);

	CHECK(weights);
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < count; j++)
			if (i != j)
				weights[i * count + j] = (int32_t)ga_pair_score(
					question->machine, question->candidates[i].place,
					question->candidates[j].place);
	*problem = (struct ga_partition_problem){
		.count = count,
		.size = question->want,
		.weights = weights,
		.required = question->required,
		.required_count = question->required_count,
		.budget = question->budget,
	};
}

static void problem_free(struct ga_partition_problem *problem)
{
	free((void *)(uintptr_t)problem->weights);
}

/* Groups are full but one, numbered as they begin; one full group holds the required. */
static void check_form(const struct ga_partition_problem *problem,
		       const struct ga_partition *partition)
{
	size_t members[DEVICES_MAX] = {0}, next = 0, rest = problem->count % problem->size;

	for (size_t i = 0; i < problem->count; i++) {
		CHECK(partition->group[i] <= next);
		next += partition->group[i] == next;
		members[partition->group[i]]++;
	}
	CHECK_INT(next, (problem->count + problem->size - 1) / problem->size);
	for (size_t g = 0, shorts = 0; g < next; g++) {
		shorts += members[g] == rest;
		CHECK(members[g] == problem->size || (members[g] == rest && shorts <= 1));
	}
	for (size_t i = 0; i < problem->required_count; i++) {
		uint16_t group = partition->group[problem->required[i]];

		CHECK_INT(members[group], problem->size);
		CHECK_INT(group, partition->group[problem->required[0]]);
	}
	CHECK_INT(partition->value, ga_partition_value(problem, partition->group));
	CHECK(partition->value <= partition->bound);
	CHECK_INT(partition->proven, partition->value == partition->bound);
}

static void check_same(const struct ga_partition_problem *problem, const struct ga_partition *one,
		       const struct ga_partition *other)
{
	check_form(problem, one);
	check_form(problem, other);
	CHECK(one->proven);
	CHECK(other->proven);
	CHECK_INT(one->value, other->value);
	for (size_t i = 0; i < problem->count; i++)
		CHECK_INT(one->group[i], other->group[i]);
}

/* Subsets against the search, with classes and without. */
static void check_engines(struct ga_partition_problem *problem)
{
	uint16_t by_subsets[GA_SUBSETS_MAX], by_search[GA_SUBSETS_MAX];
	struct ga_partition subsets = {.group = by_subsets}, search = {.group = by_search};

	problem->budget = 100000000;
	CHECK(ga_partition_by_subsets(problem, &subsets));
	CHECK(ga_partition_by_search(problem, true, &search));
	check_same(problem, &search, &subsets);
	CHECK(ga_partition_by_search(problem, false, &search));
	check_same(problem, &search, &subsets);
}

static void ask_engines(struct shapes *shapes, const struct question_of_shape *asked)
{
	struct ga_partition_problem problem;
	size_t required[4];

	problem_new(&problem, &asked->question);
	problem.size = 2 + shapes_draw(shapes, problem.count - 2);
	problem.required = required;
	problem.required_count = shapes_draw(shapes, 2) ? 0 : shapes_draw(shapes, 4);
	if (problem.required_count > problem.size)
		problem.required_count = problem.size;
	for (size_t i = 0; i < problem.required_count; i++)
		required[i] = asked->order[i];
	test_about("machine %zu, %zu of %zu, %zu required", shapes->machines, problem.size,
		   problem.count, problem.required_count);
	check_engines(&problem);
	problem_free(&problem);
}

static void engines_agree_on_random_machines(void)
{
	struct shapes shapes = {.state = 5};

	for (size_t i = 0; i < 600; i++) {
		struct question_of_shape asked;

		shapes_random_question(&shapes, 3 + i % 8, &asked);
		ask_engines(&shapes, &asked);
		question_of_shape_free(&asked);
	}
}

/* Parts of a tree in any order: classes of many sizes, nested symmetries. */
static void ask_part_of_tree(struct shapes *shapes, const size_t *sizes, const int *nvlinks,
			     size_t most)
{
	struct question_of_shape asked;
	size_t order[64], count = most - shapes_draw(shapes, most / 3);

	for (size_t i = 0; i < most; i++)
		order[i] = i;
	if (shapes_draw(shapes, 2))
		shapes_shuffle(shapes, order, most);
	question_of_shape_new(&asked, most, order, count);
	shapes_shuffle(shapes, asked.order, count);
	shape_tree(asked.machine, sizes, nvlinks);
	shapes->machines++;
	ask_engines(shapes, &asked);
	question_of_shape_free(&asked);
}

static void engines_agree_on_trees(void)
{
	static const size_t trees[][4] = {{4, 0},    {3, 2, 0}, {2, 2, 2, 0}, {4, 2, 0},
					  {2, 4, 0}, {5, 0},    {16, 0},      {2, 3, 0}};
	struct shapes shapes = {.state = 11};
	const int nvlinks[] = {4, 0, 1, 0};

	for (size_t i = 0; i < 240; i++)
		ask_part_of_tree(&shapes, trees[i % 8], i % 16 < 8 ? nvlinks : NULL, 12 + i % 3);
}

static const struct test_case cases[] = {
	{"engines agree on random machines", engines_agree_on_random_machines},
	{"engines agree on trees", engines_agree_on_trees},
};
TEST_MAIN(cases)
