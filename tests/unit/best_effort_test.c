/* SPDX-License-Identifier: Apache-2.0 */
/* best-effort answers as its definition says, in content and order. */
#include "partition_shapes.h"
#include "policy.h"
#include "test.h"
#include "vector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check_vector(const struct vector *vector)
{
	struct ga_answer answer = {0};
	int result = ga_policy_best_effort.choose(&vector->question, &answer, NULL);

	CHECK_INT(result, vector->expect_count > 0 ? 0 : GPUALLOC_EUSAGE);
	CHECK_INT(answer.count, vector->expect_count);
	for (size_t i = 0; i < answer.count; i++)
		CHECK_INT(vector->candidates[answer.chosen[i]].place, vector->expect[i]);
	CHECK(result < 0 || answer.proven);
	CHECK_INT(answer.value, answer.bound);
	ga_answer_free(&answer);
}

static void answers_the_vectors(void)
{
	char *text = test_read("machines/vectors/best-effort.jsonl", NULL);
	size_t cases = 0;

	for (char *line = text, *end; *line; line = end + 1) {
		struct vector vector;

		end = strchr(line, '\n');
		CHECK(end);
		test_about("line %zu", ++cases);
		CHECK(vector_read(line, (size_t)(end - line), &vector));
		check_vector(&vector);
		vector_free(&vector);
	}
	CHECK_INT(cases, 649);
	free(text);
}

/* ---- the definition, word for word ---- */

enum { PLAIN_MAX = 20 }; /* places: 10 devices and those that are missing */

/* Groups are lists of positions; a position from count on is a missing place of the short group. */
struct plain {
	const struct ga_question *question;
	size_t places; /* with the missing */
	size_t group[PLAIN_MAX][PLAIN_MAX];
	size_t groups;
	bool used[PLAIN_MAX];
	size_t best[PLAIN_MAX][PLAIN_MAX];
	int64_t best_score;
};

static int64_t plain_score(const struct plain *plain, const size_t *group)
{
	const struct ga_question *question = plain->question;
	int64_t score = 0;

	for (size_t i = 0; i < question->want; i++)
		for (size_t j = i + 1; j < question->want; j++)
			if (group[i] < question->candidate_count &&
			    group[j] < question->candidate_count)
				score += ga_pair_score(question->machine,
						       question->candidates[group[i]].place,
						       question->candidates[group[j]].place);
	return score;
}

/* Whether it is full and holds everything that is required. */
static bool plain_answers(const struct plain *plain, const size_t *group)
{
	const struct ga_question *question = plain->question;

	for (size_t i = 0; i < question->want; i++)
		if (group[i] >= question->candidate_count)
			return false;
	for (size_t r = 0; r < question->required_count; r++) {
		bool held = false;

		for (size_t i = 0; i < question->want; i++)
			held = held || group[i] == question->required[r];
		if (!held)
			return false;
	}
	return true;
}

static void plain_judge(struct plain *plain)
{
	int64_t score = 0;
	bool allowed = false;

	for (size_t g = 0; g < plain->groups; g++) {
		score += plain_score(plain, plain->group[g]);
		allowed = allowed || plain_answers(plain, plain->group[g]);
	}
	if (!allowed || score <= plain->best_score)
		return;
	plain->best_score = score;
	memcpy(plain->best, plain->group, sizeof plain->best);
}

static void plain_group(struct plain *plain, size_t filled, size_t from);

static void plain_next(struct plain *plain)
{
	size_t first = 0;

	while (first < plain->places && plain->used[first])
		first++;
	if (first == plain->places) {
		plain_judge(plain);
		return;
	}
	plain->used[first] = true;
	plain->group[plain->groups++][0] = first;
	plain_group(plain, 1, first + 1);
	plain->groups--;
	plain->used[first] = false;
}

static void plain_group(struct plain *plain, size_t filled, size_t from)
{
	const size_t count = plain->question->candidate_count;
	size_t *group = plain->group[plain->groups - 1];
	size_t missing = 0;

	if (filled == plain->question->want) {
		for (size_t i = 0; i < filled; i++)
			missing += group[i] >= count;
		if (missing == 0 || missing == plain->places - count)
			plain_next(plain);
		return;
	}
	for (size_t i = from; i < plain->places; i++) {
		if (plain->used[i])
			continue;
		plain->used[i] = true;
		group[filled] = i;
		plain_group(plain, filled + 1, i + 1);
		plain->used[i] = false;
	}
}

static const size_t *plain_answer(struct plain *plain, const struct ga_question *question)
{
	const size_t *answer = NULL;
	int64_t best = -1;

	*plain = (struct plain){.question = question, .best_score = -1};
	plain->places =
		(question->candidate_count + question->want - 1) / question->want * question->want;
	plain_next(plain);
	for (size_t g = 0; g < plain->places / question->want; g++)
		if (plain_answers(plain, plain->best[g]) &&
		    plain_score(plain, plain->best[g]) > best) {
			best = plain_score(plain, plain->best[g]);
			answer = plain->best[g];
		}
	return answer;
}

static void check_against_plain(const struct ga_question *question)
{
	struct plain plain;
	struct ga_answer answer = {0};
	const size_t *expected = plain_answer(&plain, question);

	CHECK_INT(ga_policy_best_effort.choose(question, &answer, NULL), 0);
	CHECK_INT(answer.count, question->want);
	for (size_t i = 0; i < question->want; i++)
		CHECK_INT(answer.chosen[i], expected[i]);
	CHECK_INT(answer.value, plain.best_score);
	CHECK_INT(answer.bound, plain.best_score);
	CHECK(answer.proven);
	ga_answer_free(&answer);
}

/* Asks for every size, with as many required as the shape's random numbers say. */
static void check_machine(struct shapes *shapes, size_t count)
{
	struct question_of_shape asked;
	size_t required[PLAIN_MAX];

	shapes_random_question(shapes, count, &asked);
	for (size_t want = 1; want <= count; want++) {
		size_t most = want < 3 ? want : 3;

		asked.question.want = want;
		asked.question.required = required;
		asked.question.required_count =
			shapes_draw(shapes, 2) ? 0 : shapes_draw(shapes, most + 1);
		for (size_t i = 0; i < asked.question.required_count; i++)
			required[i] = asked.order[i];
		test_about("machine %zu, %zu of %zu, %zu required", shapes->machines, want, count,
			   asked.question.required_count);
		check_against_plain(&asked.question);
	}
	question_of_shape_free(&asked);
}

static void answers_as_defined_up_to_8(void)
{
	struct shapes shapes = {.state = 20260101};

	for (size_t i = 0; i < 2400; i++)
		check_machine(&shapes, 1 + i % 8);
}

static void answers_as_defined_at_9_and_10(void)
{
	struct shapes shapes = {.state = 77};

	for (size_t i = 0; i < 24; i++)
		check_machine(&shapes, 9 + i % 2);
}

static void never_answers_with_a_short_group(void)
{
	/* Fault A of go-gpuallocator: five PCIe GPUs of eight, 6 and 7 bridged, three wanted. */
	struct question_of_shape asked;
	size_t order[] = {0, 1, 2, 6, 7};
	struct ga_answer answer = {0};

	question_of_shape_new(&asked, 8, order, 5);
	ga_links_set_nvlinks(&asked.machine->links, 6, 7, 4);
	asked.question.want = 3;
	check_against_plain(&asked.question);
	CHECK_INT(ga_policy_best_effort.choose(&asked.question, &answer, NULL), 0);
	CHECK_INT(answer.count, 3);
	ga_answer_free(&answer);
	question_of_shape_free(&asked);
}

static void holds_the_required_with_seven_groups(void)
{
	/* Fault B: 14 devices in pairs, the last two required; it answered nothing. */
	struct question_of_shape asked;
	const size_t required[] = {12, 13};
	struct ga_answer answer = {0};

	question_of_shape_new(&asked, 14, NULL, 14);
	for (size_t i = 0; i < 14; i++)
		for (size_t j = 0; j < i; j++)
			ga_links_set_nvlinks(&asked.machine->links, i, j, (int)((i * j) % 3));
	asked.question.want = 2;
	asked.question.required = required;
	asked.question.required_count = 2;
	CHECK_INT(ga_policy_best_effort.choose(&asked.question, &answer, NULL), 0);
	CHECK_INT(answer.count, 2);
	CHECK_INT(answer.chosen[0], 12);
	CHECK_INT(answer.chosen[1], 13);
	CHECK(answer.proven);
	ga_answer_free(&answer);
	question_of_shape_free(&asked);
}

static void refuses_what_makes_no_sense(void)
{
	struct question_of_shape asked;
	const size_t required[] = {0, 1, 2};
	struct ga_answer answer = {0};

	question_of_shape_new(&asked, 4, NULL, 4);
	asked.question.want = 5;
	CHECK(ga_policy_best_effort.choose(&asked.question, &answer, NULL) < 0);
	asked.question.want = 0;
	CHECK(ga_policy_best_effort.choose(&asked.question, &answer, NULL) < 0);
	asked.question.want = 2;
	asked.question.required = required;
	asked.question.required_count = 3;
	CHECK(ga_policy_best_effort.choose(&asked.question, &answer, NULL) < 0);
	asked.question.required_count = 0;
	asked.question.candidate_count = 0;
	CHECK(ga_policy_best_effort.choose(&asked.question, &answer, NULL) < 0);
	CHECK(!answer.chosen);
	question_of_shape_free(&asked);
}

static void answers_for_more_than_any_machine_has(void)
{
	struct question_of_shape asked;
	const size_t required[] = {1999, 2};
	struct ga_answer answer = {0};

	question_of_shape_new(&asked, 2000, NULL, 2000);
	asked.question.want = 3;
	asked.question.required = required;
	asked.question.required_count = 2;
	CHECK_INT(ga_policy_best_effort.choose(&asked.question, &answer, NULL), 0);
	CHECK_INT(answer.count, 3);
	CHECK_INT(answer.chosen[0], 0);
	CHECK_INT(answer.chosen[1], 2);
	CHECK_INT(answer.chosen[2], 1999);
	CHECK(!answer.proven);
	ga_answer_free(&answer);
	question_of_shape_free(&asked);
}

static void scores_pairs_and_sets(void)
{
	struct question_of_shape asked;
	const size_t places[] = {0, 1, 2};

	question_of_shape_new(&asked, 3, NULL, 3);
	ga_links_set_level(&asked.machine->links, 0, 1, GPUALLOC_LEVEL_PIX);
	ga_links_set_nvlinks(&asked.machine->links, 0, 1, 2);
	ga_links_set_level(&asked.machine->links, 0, 2, GPUALLOC_LEVEL_UNKNOWN);
	ga_links_set_nvlinks(&asked.machine->links, 0, 2, -1);
	CHECK_INT(ga_pair_score(asked.machine, 0, 1), 250);
	CHECK_INT(ga_pair_score(asked.machine, 0, 2), 0);
	CHECK_INT(ga_pair_score(asked.machine, 1, 1), 60);
	CHECK_INT(ga_places_score(asked.machine, places, 3), 260);
	question_of_shape_free(&asked);
}

static const struct test_case cases[] = {
	{"answers the vectors", answers_the_vectors},
	{"answers as defined up to 8 devices", answers_as_defined_up_to_8},
	{"answers as defined at 9 and 10 devices", answers_as_defined_at_9_and_10},
	{"never answers with a short group", never_answers_with_a_short_group},
	{"holds the required with seven groups", holds_the_required_with_seven_groups},
	{"refuses what makes no sense", refuses_what_makes_no_sense},
	{"answers for more than any machine has", answers_for_more_than_any_machine_has},
	{"scores pairs and sets", scores_pairs_and_sets},
};
TEST_MAIN(cases)
