/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policies that need no search: in order, fixed sets, by memory, by chance, by room; and what
 * holds for all policies on all built-in machines.
 */
#include "asking.h"
#include "cleanup.h"
#include "source.h"
#include "test.h"

#include <string.h>

static const char *chosen(const struct ga_policy *policy, const gpualloc_machine *machine,
			  const char *offered, const char *required, size_t want)
{
	struct asking asking = {
		.machine = machine,
		.offered = offered ? places_of(offered) : places_up_to(machine->device_count),
		.required = places_of(required),
		.want = want,
	};
	struct answered answered = ask(policy, &asking);

	test_about("%s, %zu of %s", policy->name, want, offered ? offered : "all");
	CHECK_INT(answered.result, 0);
	return places_text(&answered.chosen);
}

static void check_refused(const struct ga_policy *policy, const gpualloc_machine *machine,
			  const char *offered, const char *required, size_t want, int status,
			  const char *part)
{
	struct asking asking = {
		.machine = machine,
		.offered = places_of(offered),
		.required = places_of(required),
		.want = want,
	};
	struct answered answered = ask(policy, &asking);

	test_about("%s, %zu of %s", policy->name, want, offered);
	CHECK_INT(answered.result, status);
	CHECK_HAS(answered.message, part);
}

/* ---- simple ---- */

static void simple_takes_the_first_offered(void)
{
	gpualloc_machine *machine = machine_built_in("pcie16");

	CHECK_TEXT(chosen(&ga_policy_simple, machine, NULL, "", 3), "0 1 2");
	CHECK_TEXT(chosen(&ga_policy_simple, machine, "9 4 7 1", "", 3), "9 4 7");
	CHECK_TEXT(chosen(&ga_policy_simple, machine, "9 4 7 1", "7 1", 3), "7 1 9");
	ga_machine_free(machine);
}

/* ---- fixed sets ---- */

static const char eight[] = "0 1 2 3 4 5 6 7";

static void dgx1_has_its_fixed_sets(void)
{
	const struct {
		const struct ga_policy *policy;
		const char *pairs[4];
	} cases[] = {
		{&ga_policy_static_dgx1_pascal, {"0 2", "1 3", "4 6", "5 7"}},
		{&ga_policy_static_dgx1_volta, {"0 3", "1 2", "4 7", "5 6"}},
	};
	gpualloc_machine *machine = machine_built_in("dgx1-volta");

	for (size_t i = 0; i < 2; i++) {
		const struct ga_policy *policy = cases[i].policy;

		CHECK_TEXT(chosen(policy, machine, NULL, "", 1), "0");
		CHECK_TEXT(chosen(policy, machine, "7 6 5", "", 1), "5");
		CHECK_TEXT(chosen(policy, machine, NULL, "", 2), cases[i].pairs[0]);
		for (size_t pair = 0; pair < 4; pair++)
			CHECK_TEXT(chosen(policy, machine, cases[i].pairs[pair], "", 2),
				   cases[i].pairs[pair]);
		CHECK_TEXT(chosen(policy, machine, NULL, "5", 2), cases[i].pairs[3]);
		CHECK_TEXT(chosen(policy, machine, NULL, "", 4), "0 1 2 3");
		CHECK_TEXT(chosen(policy, machine, "1 2 3 4 5 6 7", "", 4), "4 5 6 7");
		CHECK_TEXT(chosen(policy, machine, NULL, "6", 4), "4 5 6 7");
		CHECK_TEXT(chosen(policy, machine, NULL, "", 8), eight);
	}
	ga_machine_free(machine);
}

static void dgx2_has_its_fixed_sets(void)
{
	gpualloc_machine *machine = machine_built_in("dgx2");
	const struct ga_policy *policy = &ga_policy_static_dgx2;

	CHECK_TEXT(chosen(policy, machine, NULL, "", 1), "0");
	CHECK_TEXT(chosen(policy, machine, "1 2 3 4 5 6", "", 2), "2 3");
	CHECK_TEXT(chosen(policy, machine, NULL, "13", 2), "12 13");
	CHECK_TEXT(chosen(policy, machine, "1 2 3 4 5 6 7 8 9", "", 4), "4 5 6 7");
	CHECK_TEXT(chosen(policy, machine, NULL, "9", 8), "8 9 10 11 12 13 14 15");
	CHECK_TEXT(chosen(policy, machine, NULL, "", 16), "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15");
	ga_machine_free(machine);
}

static void what_no_fixed_set_gives_is_refused(void)
{
	gpualloc_machine *dgx1 = machine_built_in("dgx1-volta");
	gpualloc_machine *dgx2 = machine_built_in("dgx2");
	gpualloc_machine *four = machine_built_in("rtx8000x4");
	const struct ga_policy *volta = &ga_policy_static_dgx1_volta;

	check_refused(volta, dgx1, eight, "", 3, GPUALLOC_EIMPOSSIBLE, "1, 2, 4 or 8 devices");
	check_refused(volta, dgx1, eight, "0 1", 2, GPUALLOC_EIMPOSSIBLE, "required");
	check_refused(volta, dgx1, "0 1 4 5", "", 2, GPUALLOC_EBUSY, "completely free");
	check_refused(volta, dgx1, "0 1 2 4 5 6", "", 4, GPUALLOC_EBUSY, "completely free");
	check_refused(volta, dgx1, "1 2 5 6 7", "7", 2, GPUALLOC_EBUSY, "completely free");
	check_refused(volta, four, "0 1 2 3", "", 2, GPUALLOC_EIMPOSSIBLE,
		      "8 GPUs, but this one has 4");
	check_refused(&ga_policy_static_dgx1_pascal, four, "0 1", "", 1, GPUALLOC_EIMPOSSIBLE,
		      "8 GPUs");
	check_refused(&ga_policy_static_dgx2, dgx1, eight, "", 8, GPUALLOC_EIMPOSSIBLE, "16 GPUs");
	check_refused(&ga_policy_static_dgx2, dgx2, eight, "", 6, GPUALLOC_EIMPOSSIBLE,
		      "1, 2, 4, 8 or 16");
	ga_machine_free(dgx1);
	ga_machine_free(dgx2);
	ga_machine_free(four);
}

/* ---- by memory, by room: candidates with memory, and instances ---- */

enum { CANDIDATES_MAX = 16 };

struct offer {
	const gpualloc_machine *machine;
	struct ga_candidate candidates[CANDIDATES_MAX];
	size_t count;
	size_t required[CANDIDATES_MAX];
	size_t required_count;
};

static void offer_gpu(struct offer *offer, size_t place, int64_t free)
{
	offer->candidates[offer->count++] =
		(struct ga_candidate){&offer->machine->devices[place], place, free};
}

/* Numbers of candidates, "0 2 1". */
static const char *chosen_of(const struct ga_policy *policy, const struct offer *offer, size_t want)
{
	ga_auto_answer struct ga_answer answer = {0};
	struct ga_question question = {
		.machine = offer->machine,
		.candidates = offer->candidates,
		.candidate_count = offer->count,
		.required = offer->required,
		.required_count = offer->required_count,
		.want = want,
	};
	struct places numbers = {0};

	CHECK_INT(ga_policy_choose(policy, &question, &answer, NULL), 0);
	for (size_t i = 0; i < answer.count; i++)
		numbers.at[numbers.count++] = answer.chosen[i];
	return places_text(&numbers);
}

static void fit_goes_by_free_memory(void)
{
	gpualloc_machine *machine = machine_empty(6);
	struct offer offer = {.machine = machine};

	offer_gpu(&offer, 5, 300);
	offer_gpu(&offer, 1, 500);
	offer_gpu(&offer, 2, GA_UNKNOWN);
	offer_gpu(&offer, 3, 300);
	offer_gpu(&offer, 4, 900);
	CHECK_TEXT(chosen_of(&ga_policy_best_fit, &offer, 1), "3");
	CHECK_TEXT(chosen_of(&ga_policy_best_fit, &offer, 5), "3 0 1 4 2");
	CHECK_TEXT(chosen_of(&ga_policy_worst_fit, &offer, 1), "4");
	CHECK_TEXT(chosen_of(&ga_policy_worst_fit, &offer, 5), "4 1 3 0 2");
	offer.required[offer.required_count++] = 2;
	CHECK_TEXT(chosen_of(&ga_policy_best_fit, &offer, 3), "2 3 0");
	CHECK_TEXT(chosen_of(&ga_policy_worst_fit, &offer, 2), "2 4");
	ga_machine_free(machine);
}

static void offer_instances(struct offer *offer, gpualloc_machine *machine, size_t place,
			    size_t count, int64_t free)
{
	struct gpualloc_device *gpu = &machine->devices[place];

	for (size_t i = 0; i < count; i++)
		CHECK(ga_device_add_mig(gpu));
	CHECK_INT(ga_machine_finish(machine, NULL), 0);
	for (size_t i = 0; i < count; i++)
		offer->candidates[offer->count++] =
			(struct ga_candidate){&gpu->mig[i], place, free};
}

static void instances_are_packed_and_spread(void)
{
	gpualloc_machine *machine = machine_empty(3);
	struct offer offer = {.machine = machine};

	offer_instances(&offer, machine, 0, 3, 100); /* 0 1 2 */
	offer_instances(&offer, machine, 1, 1, 100); /* 3 */
	offer_instances(&offer, machine, 2, 2, 100); /* 4 5 */
	CHECK_TEXT(chosen_of(&ga_policy_pack, &offer, 1), "3");
	CHECK_TEXT(chosen_of(&ga_policy_pack, &offer, 4), "3 4 5 0");
	CHECK_TEXT(chosen_of(&ga_policy_spread, &offer, 1), "0");
	CHECK_TEXT(chosen_of(&ga_policy_spread, &offer, 2), "0 4");
	CHECK_TEXT(chosen_of(&ga_policy_spread, &offer, 4), "0 4 1 3");
	offer.required[offer.required_count++] = 1;
	CHECK_TEXT(chosen_of(&ga_policy_pack, &offer, 3), "1 3 0");
	CHECK_TEXT(chosen_of(&ga_policy_spread, &offer, 2), "1 4");
	ga_machine_free(machine);
}

static void shares_are_packed_and_spread(void)
{
	gpualloc_machine *machine = machine_empty(4);
	struct offer offer = {.machine = machine};

	offer_gpu(&offer, 3, 700);
	offer_gpu(&offer, 1, 400);
	offer_gpu(&offer, 2, 400);
	offer_gpu(&offer, 0, 900);
	CHECK_TEXT(chosen_of(&ga_policy_pack, &offer, 1), "1");
	CHECK_TEXT(chosen_of(&ga_policy_pack, &offer, 4), "1 2 0 3");
	CHECK_TEXT(chosen_of(&ga_policy_spread, &offer, 1), "3");
	CHECK_TEXT(chosen_of(&ga_policy_spread, &offer, 4), "3 0 1 2");
	ga_machine_free(machine);
}

/* ---- by chance ---- */

enum { DRAWS = 21000, OF_SEVEN = 21 };

/* All 21 pairs of 7 are equally likely: chi-square with 20 degrees, 1 in 1000 is above 45.3. */
static void random_is_uniform(void)
{
	gpualloc_machine *machine = machine_empty(7);
	struct asking asking = {.machine = machine, .offered = places_up_to(7), .want = 2};
	size_t seen[7][7] = {{0}};
	double chi_square = 0, expected = DRAWS / (double)OF_SEVEN;

	for (asking.seed = 0; asking.seed < DRAWS; asking.seed++) {
		struct answered answered = ask(&ga_policy_random, &asking);

		CHECK_INT(answered.result, 0);
		CHECK(answered.chosen.at[0] < answered.chosen.at[1]);
		seen[answered.chosen.at[0]][answered.chosen.at[1]]++;
	}
	for (size_t a = 0; a < 7; a++)
		for (size_t b = a + 1; b < 7; b++) {
			double off = (double)seen[a][b] - expected;

			chi_square += off * off / expected;
		}
	test_about("chi-square %f", chi_square);
	CHECK(chi_square < 45.3);
	CHECK(chi_square > 5.9); /* nor suspiciously even */
	ga_machine_free(machine);
}

static void random_repeats_by_its_seed(void)
{
	gpualloc_machine *machine = machine_empty(16);
	struct asking asking = {.machine = machine, .offered = places_up_to(16), .want = 5};
	size_t same = 0;

	for (asking.seed = 0; asking.seed < 100; asking.seed++) {
		struct asking next = asking;
		struct answered first = ask(&ga_policy_random, &asking), again;

		again = ask(&ga_policy_random, &asking);
		CHECK(memcmp(first.chosen.at, again.chosen.at, 5 * sizeof(size_t)) == 0);
		next.seed = asking.seed + 1;
		again = ask(&ga_policy_random, &next);
		same += memcmp(first.chosen.at, again.chosen.at, 5 * sizeof(size_t)) == 0;
	}
	CHECK(same < 3);
	ga_machine_free(machine);
}

static void random_keeps_the_required(void)
{
	gpualloc_machine *machine = machine_empty(8);
	struct asking asking = {.machine = machine,
				.offered = places_up_to(8),
				.required = places_of("6 2"),
				.want = 3};

	for (asking.seed = 0; asking.seed < 50; asking.seed++) {
		struct answered answered = ask(&ga_policy_random, &asking);

		CHECK_INT(answered.chosen.at[0], 6);
		CHECK_INT(answered.chosen.at[1], 2);
	}
	ga_machine_free(machine);
}

/* ---- all of them ---- */

/* More than 16 get fewer sizes and little patience: this is about answers, not about time. */
static size_t step_of(const gpualloc_machine *machine, size_t want)
{
	return machine->device_count > 16 && want > 4 ? 13 : 1;
}

static bool may_refuse(const struct ga_policy *policy)
{
	return strncmp(policy->name, "static", 6) == 0;
}

static void check_everything(const struct ga_policy *policy, const gpualloc_machine *machine,
			     const char *required)
{
	for (size_t want = 1; want <= machine->device_count; want += step_of(machine, want)) {
		struct asking asking = {
			.machine = machine,
			.offered = places_up_to(machine->device_count),
			.required = places_of(required),
			.want = want,
			.budget = machine->device_count > 16 ? 5000 : 0,
		};
		struct answered answered;

		if (asking.required.count > want)
			continue;
		answered = ask(policy, &asking); /* which checks the answer, too */
		test_about("%s, %zu of %s: %s", policy->name, want, machine->name,
			   answered.message);
		CHECK(answered.result == 0 ||
		      (may_refuse(policy) && answered.result == GPUALLOC_EIMPOSSIBLE));
		CHECK(answered.value <= answered.bound);
		CHECK(!answered.proven || answered.value == answered.bound);
	}
}

static void every_policy_answers_on_every_machine(void)
{
	for (size_t i = 0; ga_source_builtin.machine_name(i); i++) {
		gpualloc_machine *machine = machine_built_in(ga_source_builtin.machine_name(i));

		for (size_t p = 0; ga_policy_at(p); p++) {
			check_everything(ga_policy_at(p), machine, "");
			check_everything(ga_policy_at(p), machine, "1");
			if (machine->device_count > 3)
				check_everything(ga_policy_at(p), machine, "3 1");
		}
		ga_machine_free(machine);
	}
}

static void policies_are_found_by_name_in_order(void)
{
	for (size_t p = 0; ga_policy_at(p); p++) {
		const struct ga_policy *policy = ga_policy_at(p);

		CHECK(ga_policy_find(policy->name) == policy);
		CHECK(p == 0 || strcmp(ga_policy_at(p - 1)->name, policy->name) < 0);
	}
	CHECK(!ga_policy_find("best"));
}

static const struct test_case cases[] = {
	{"simple takes the first offered", simple_takes_the_first_offered},
	{"DGX-1 has its fixed sets", dgx1_has_its_fixed_sets},
	{"DGX-2 has its fixed sets", dgx2_has_its_fixed_sets},
	{"a request that no fixed set meets is refused", what_no_fixed_set_gives_is_refused},
	{"best-fit and worst-fit go by free memory", fit_goes_by_free_memory},
	{"instances are packed and spread", instances_are_packed_and_spread},
	{"shares are packed and spread", shares_are_packed_and_spread},
	{"random is uniform", random_is_uniform},
	{"random repeats by its seed", random_repeats_by_its_seed},
	{"random keeps the required", random_keeps_the_required},
	{"every policy answers on every machine", every_policy_answers_on_every_machine},
	{"policies are found by name, in order", policies_are_found_by_name_in_order},
};

TEST_MAIN(cases)
