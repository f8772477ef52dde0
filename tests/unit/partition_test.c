/* SPDX-License-Identifier: Apache-2.0 */
/* The engines that solve partitions agree, prove what they should, and keep to their budget. */
#include "partition/search.h"
#include "partition_shapes.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES_MAX = 1024 };

static void problem_new(struct ga_part_problem *problem, const struct ga_question *question)
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
	*problem = (struct ga_part_problem){
		.count = count,
		.size = question->want,
		.weights = weights,
		.required = question->required,
		.required_count = question->required_count,
		.budget = question->budget,
	};
}

static void problem_free(struct ga_part_problem *problem)
{
	free((void *)(uintptr_t)problem->weights);
}

/* Groups are full but one, numbered as they begin; one full group holds the required. */
static void check_form(const struct ga_part_problem *problem,
		       const struct ga_part_result *partition)
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
	CHECK_INT(partition->value, ga_part_value(problem, partition->group));
	CHECK(partition->value <= partition->bound);
	CHECK_INT(partition->proven, partition->value == partition->bound);
}

static void check_same(const struct ga_part_problem *problem, const struct ga_part_result *one,
		       const struct ga_part_result *other)
{
	check_form(problem, one);
	check_form(problem, other);
	CHECK(one->proven);
	CHECK(other->proven);
	CHECK_INT(one->value, other->value);
	for (size_t i = 0; i < problem->count; i++)
		CHECK_INT(one->group[i], other->group[i]);
}

/* Without swaps, which nearly always know the value before the search does. */
static void check_value(const struct ga_part_problem *problem, bool alike,
			const struct ga_part_result *best)
{
	struct ga_part_search *search = calloc(1, sizeof *search);

	CHECK(search);
	CHECK(ga_part_search_begin(search, problem, alike));
	/* Once with the bounds as they begin, once with prices. */
	if (alike && search->bound.tree)
		ga_part_bound_tighten(&search->bound, problem, best->group);
	CHECK_INT(ga_part_search_value(search, -1), best->value);
	CHECK(!search->exhausted);
	/* Asked again for less, it still knows. */
	CHECK_INT(ga_part_search_value(search, best->value - 1), best->value);
	ga_part_search_finish(search);
	free(search);
}

/* Subsets against the search, with classes and without. */
static void check_engines(struct ga_part_problem *problem)
{
	uint16_t by_subsets[GA_PART_SUBSETS_MAX], by_search[GA_PART_SUBSETS_MAX];
	struct ga_part_result subsets = {.group = by_subsets}, search = {.group = by_search};

	problem->budget = 100000000;
	CHECK(ga_part_by_subsets(problem, &subsets));
	CHECK(ga_part_by_search(problem, true, &search));
	check_same(problem, &search, &subsets);
	check_value(problem, true, &subsets);
	check_value(problem, false, &subsets);
	CHECK(ga_part_by_search(problem, false, &search));
	check_same(problem, &search, &subsets);
}

static void ask_engines(struct shapes *shapes, const struct question_of_shape *asked)
{
	struct ga_part_problem problem;
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

	for (size_t i = 0; i < 3000; i++) {
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

	for (size_t i = 0; i < 960; i++)
		ask_part_of_tree(&shapes, trees[i % 8], i % 16 < 8 ? nvlinks : NULL, 12 + i % 3);
}

static void engines_agree_up_to_20(void)
{
	static const size_t trees[][4] = {{4, 2, 0}, {5, 0}, {2, 4, 2, 0}, {20, 0}};
	struct shapes shapes = {.state = 3};
	const int nvlinks[] = {2, 0, 0, 0};

	for (size_t i = 0; i < 24; i++)
		ask_part_of_tree(&shapes, trees[i % 4], i % 8 < 4 ? nvlinks : NULL, 15 + i % 6);
}

/* ---- many devices ---- */

struct shape {
	const char *name;
	size_t count, sizes[4];
	int nvlinks[4];
};

static const struct shape large_shapes[] = {
	{"72 alike", 72, {72}, {0}},
	{"18 trays of 4", 72, {4}, {18, 18}},
	{"18 trays of 2 boards of 2", 72, {2, 2}, {18, 18, 18}},
	{"8 x 7", 56, {7}, {0}},
	{"8 x 7 on 2 sockets", 56, {7, 4}, {0}},
	{"8 x 8", 64, {8}, {0}},
	{"32 on PCIe", 32, {4, 4}, {0}},
	{"128 = 16 x 8", 128, {8, 8}, {0}},
};

static void solve_shape(const struct shape *shape, size_t size, const size_t *required,
			struct ga_part_result *partition)
{
	struct question_of_shape asked;
	struct ga_part_problem problem;

	question_of_shape_new(&asked, shape->count, NULL, shape->count);
	shape_tree(asked.machine, shape->sizes, shape->nvlinks);
	problem_new(&problem, &asked.question);
	problem.size = size;
	problem.required = required;
	problem.required_count = required ? 2 : 0;
	problem.budget = 200000;
	test_about("%s, %zu wanted%s", shape->name, size, required ? ", 2 required" : "");
	CHECK(ga_part_solve(&problem, partition));
	check_form(&problem, partition);
	problem_free(&problem);
	question_of_shape_free(&asked);
}

static void large_shapes_are_proven(void)
{
	static const size_t sizes[] = {2, 3, 4, 5, 8, 16, 20};
	const size_t required[] = {3, 9};
	uint16_t group[128];
	struct ga_part_result partition = {.group = group};

	for (size_t i = 0; i < sizeof large_shapes / sizeof *large_shapes; i++)
		for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
			solve_shape(&large_shapes[i], sizes[j], NULL, &partition);
			CHECK(partition.proven || large_shapes[i].count > 72);
			/* Unproven answers are close. */
			CHECK(partition.value * 100 >= partition.bound * 99);
			if (j % 2 == 0)
				solve_shape(&large_shapes[i], sizes[j], required, &partition);
		}
}

static void first_of_equals_in_order(void)
{
	uint16_t group[128];
	struct ga_part_result partition = {.group = group};

	solve_shape(&large_shapes[0], 5, NULL, &partition);
	for (size_t i = 0; i < 72; i++)
		CHECK_INT(group[i], i / 5);
	solve_shape(&large_shapes[1], 4, NULL, &partition);
	for (size_t i = 0; i < 72; i++)
		CHECK_INT(group[i], i / 4);
	/* Two to a board come first, and then the boards in order. */
	solve_shape(&large_shapes[2], 2, NULL, &partition);
	for (size_t i = 0; i < 72; i++)
		CHECK_INT(group[i], i / 2);
}

static void budget_is_kept(void)
{
	struct shapes shapes = {.state = 9, .machines = 1};
	struct question_of_shape asked;
	struct ga_part_problem problem;
	uint16_t group[2][40];
	struct ga_part_result first = {.group = group[0]}, second = {.group = group[1]};

	shapes_random_question(&shapes, 40, &asked);
	problem_new(&problem, &asked.question);
	problem.size = 5;
	problem.budget = 1000;
	CHECK(ga_part_solve(&problem, &first));
	check_form(&problem, &first);
	CHECK(!first.proven);
	CHECK(first.value < first.bound);
	CHECK(first.transitions <= 1000);
	CHECK(ga_part_solve(&problem, &second));
	for (size_t i = 0; i < 40; i++)
		CHECK_INT(second.group[i], first.group[i]);
	CHECK_INT(second.bound, first.bound);
	problem_free(&problem);
	question_of_shape_free(&asked);
}

static void thousand_devices_are_answered(void)
{
	struct question_of_shape asked;
	struct ga_part_problem problem;
	const size_t required[] = {17, 400};
	const size_t sizes[] = {8, 5, 0};
	uint16_t group[1000];
	struct ga_part_result partition = {.group = group};

	question_of_shape_new(&asked, 1000, NULL, 1000);
	shape_tree(asked.machine, sizes, NULL);
	problem_new(&problem, &asked.question);
	problem.size = 6;
	problem.required = required;
	problem.required_count = 2;
	CHECK(ga_part_solve(&problem, &partition));
	check_form(&problem, &partition);
	CHECK(!partition.proven);
	problem_free(&problem);
	question_of_shape_free(&asked);
}

static void memory_has_an_end(void)
{
	struct ga_part_memo memo;
	uint64_t key[16] = {0};
	size_t bytes, before = 0;

	ga_part_memo_init(&memo, sizeof key);
	while (ga_part_memo_get(&memo, (const uint8_t *)key, 0, (int64_t)key[0])) {
		before++;
		key[0]++;
		key[15] += 3;
	}
	CHECK(memo.full);
	CHECK(!memo.no_memory);
	CHECK_INT(memo.count, before);
	bytes = memo.room * (memo.entry_size + 2 * sizeof *memo.table);
	CHECK(bytes > GA_PART_MEMO_BYTES_MAX / 4);
	CHECK(bytes <= GA_PART_MEMO_BYTES_MAX);
	/* What is there can still be found. */
	key[0] = 7;
	key[15] = 21;
	CHECK(ga_part_memo_find(&memo, (const uint8_t *)key));
	CHECK_INT(ga_part_memo_find(&memo, (const uint8_t *)key)->high, 7);
	key[15] = 20;
	CHECK(!ga_part_memo_find(&memo, (const uint8_t *)key));
	ga_part_memo_free(&memo);
}

/* No group that a random partition is made of beats the bound. */
static void bounds_hold(void)
{
	struct shapes shapes = {.state = 31};

	for (size_t i = 0; i < 300; i++) {
		struct question_of_shape asked;
		struct ga_part_problem problem;
		struct ga_part_classes classes;
		struct ga_part_bound bound;
		uint16_t group[GA_PART_SUBSETS_MAX], plain[GA_PART_SUBSETS_MAX];
		struct ga_part_result best = {.group = group}, swaps = {.group = plain};

		shapes_random_question(&shapes, 5 + i % 8, &asked);
		problem_new(&problem, &asked.question);
		problem.size = 2 + shapes_draw(&shapes, problem.count - 2);
		test_about("machine %zu, %zu of %zu", i, problem.size, problem.count);
		CHECK(ga_part_by_subsets(&problem, &best));
		CHECK(ga_part_by_swaps(&problem, INT64_MAX, 1000, &swaps));
		CHECK(swaps.value <= best.value);
		CHECK(ga_part_classes_init(&classes, &problem, true));
		CHECK(ga_part_bound_init(&bound, &classes, &problem));
		CHECK(ga_part_bound_of(&bound, classes.size, problem.count) >= best.value);
		if (bound.tree)
			ga_part_bound_tighten(&bound, &problem, swaps.group);
		CHECK(ga_part_bound_of(&bound, classes.size, problem.count) >= best.value);
		ga_part_bound_free(&bound);
		ga_part_classes_free(&classes);
		problem_free(&problem);
		question_of_shape_free(&asked);
	}
}

static const struct test_case cases[] = {
	{"engines agree on random machines", engines_agree_on_random_machines},
	{"engines agree on trees", engines_agree_on_trees},
	{"engines agree up to 20 devices", engines_agree_up_to_20},
	{"bounds hold", bounds_hold},
	{"large shapes are proven", large_shapes_are_proven},
	{"the first of equals comes in order", first_of_equals_in_order},
	{"a budget is kept", budget_is_kept},
	{"a thousand devices are answered", thousand_devices_are_answered},
	{"memory has an end", memory_has_an_end},
};
TEST_MAIN(cases)
