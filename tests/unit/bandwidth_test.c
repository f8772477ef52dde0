/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy bandwidth against all sets, on machines whose best sets are known, and on those that
 * are too large to try all.
 */
#include "asking.h"
#include "cleanup.h"
#include "machine_graph.h"
#include "test.h"

#include <string.h>

/* ---- the policy against all sets ---- */

struct plain_rank {
	int64_t value, sum, nodes, loss;
};

static int64_t plain_nodes(const gpualloc_machine *machine, const struct places *set)
{
	int64_t nodes = 0;

	for (size_t i = 0; i < set->count; i++) {
		size_t j = 0;

		while (machine->devices[set->at[j]].numa != machine->devices[set->at[i]].numa)
			j++;
		nodes += i == j;
	}
	return nodes;
}

static bool has(const struct places *places, size_t place)
{
	for (size_t i = 0; i < places->count; i++)
		if (places->at[i] == place)
			return true;
	return false;
}

static int64_t price(const gpualloc_machine *machine, size_t a, size_t b)
{
	int64_t price = (int64_t)ga_links_nvlinks(&machine->links, a, b) * 8 * 8 * 8 * 8 * 8 * 8;
	int64_t of_level = 1;

	for (int level = (int)ga_links_level(&machine->links, a, b); level > 0; level--)
		of_level *= 8;
	return price + of_level;
}

static struct plain_rank plain_rank(const struct asking *asking, const struct places *set)
{
	const struct places *idle = asking->idle ? asking->idle : &asking->offered;
	struct plain_rank rank = {
		.value = set->count > 1 ? ga_places_bandwidth(asking->machine, set->at, set->count)
					: GA_UNKNOWN,
		.sum = ga_places_score(asking->machine, set->at, set->count),
		.nodes = plain_nodes(asking->machine, set),
	};

	for (size_t i = 0; i < set->count; i++)
		for (size_t j = 0; has(idle, set->at[i]) && j < idle->count; j++)
			if (idle->at[j] != set->at[i])
				rank.loss += price(asking->machine, set->at[i], idle->at[j]);
	return rank;
}

static bool better(const struct plain_rank *a, const struct plain_rank *b)
{
	if (a->value != b->value)
		return a->value > b->value;
	if (a->sum != b->sum)
		return a->sum > b->sum;
	if (a->nodes != b->nodes)
		return a->nodes < b->nodes;
	return a->loss < b->loss;
}

/* Position p of those offered is bit count-1-p, so the order of sets is that of numbers, down. */
static struct places plain_best(const struct asking *asking)
{
	size_t count = asking->offered.count;
	struct places best = {0};
	struct plain_rank best_rank = {0};

	for (uint32_t mask = 1U << count; mask-- > 0;) {
		struct places set = {0};
		struct plain_rank rank;
		bool all = true;

		for (size_t p = 0; p < count; p++)
			if (mask >> (count - 1 - p) & 1)
				set.at[set.count++] = asking->offered.at[p];
		for (size_t i = 0; i < asking->required.count; i++)
			all = all && has(&set, asking->required.at[i]);
		if (set.count != asking->want || !all)
			continue;
		rank = plain_rank(asking, &set);
		if (best.count == 0 || better(&rank, &best_rank)) {
			best = set;
			best_rank = rank;
		}
	}
	return best;
}

/* Some of the places, in any order. */
static struct places some_of(uint64_t *state, size_t count, size_t take)
{
	struct places places = places_up_to(count);

	for (size_t i = 0; i < take; i++) {
		size_t j = i + test_random(state, (uint32_t)(count - i)), held = places.at[j];

		places.at[j] = places.at[i];
		places.at[i] = held;
	}
	places.count = take;
	return places;
}

static void check_against_all_sets(uint64_t *state, gpualloc_machine *machine)
{
	size_t count = machine->device_count;
	struct places idle = some_of(state, count, 1 + test_random(state, (uint32_t)count));
	struct asking asking = {
		.machine = machine,
		.offered = some_of(state, count, 1 + test_random(state, (uint32_t)count)),
		.idle = test_random(state, 2) ? &idle : NULL,
	};
	struct answered answered;
	struct places expected;
	char text[64];

	asking.want = 1 + test_random(state, (uint32_t)asking.offered.count);
	asking.required = asking.offered;
	asking.required.count = test_random(state, (uint32_t)asking.want + 1) / 2;
	answered = ask(&ga_policy_bandwidth, &asking);
	CHECK_INT(answered.result, 0);
	CHECK(answered.proven);
	expected = plain_best(&asking);
	(void)strcpy(text, places_text(&expected));
	CHECK_TEXT(places_text(&answered.chosen), text);
	CHECK_INT(answered.value, plain_rank(&asking, &expected).value);
	CHECK_INT(answered.bound, answered.value);
}

static void bandwidth_takes_the_best_of_all_sets(void)
{
	static const char *const names[] = {"dgx1-volta", "dgx1-pascal", "dgx-a100", "hgx-h100",
					    "rtx8000x4"};
	uint64_t state = 3;

	for (int round = 0; round < 150; round++) {
		gpualloc_machine *machine =
			round % 3 ? machine_random(&state, 2 + test_random(&state, 8),
						   test_random(&state, 100))
				  : machine_built_in(names[round / 3 % 5]);

		test_about("round %d", round);
		check_against_all_sets(&state, machine);
		ga_machine_free(machine);
	}
}

/* The same machine with its devices renumbered. */
static gpualloc_machine *renumbered(const gpualloc_machine *machine, const struct places *numbers)
{
	gpualloc_machine *other = machine_empty(machine->device_count);

	for (size_t i = 0; i < machine->device_count; i++) {
		size_t to = numbers->at[i];

		other->devices[to].numa = machine->devices[i].numa;
		other->devices[to].nvlink_version = machine->devices[i].nvlink_version;
		for (size_t j = 0; j < i; j++) {
			ga_links_set_level(&other->links, to, numbers->at[j],
					   ga_links_level(&machine->links, i, j));
			ga_links_set_nvlinks(&other->links, to, numbers->at[j],
					     ga_links_nvlinks(&machine->links, i, j));
		}
	}
	return other;
}

static void numbering_changes_no_value(void)
{
	const struct ga_policy *const policies[] = {&ga_policy_bandwidth, &ga_policy_balanced};
	uint64_t state = 4;

	for (int round = 0; round < 24; round++) {
		gpualloc_machine *machine = machine_random(&state, 8, 60);
		struct places numbers = some_of(&state, 8, 8);
		gpualloc_machine *other = renumbered(machine, &numbers);
		size_t want = 1 + (size_t)round % 8;
		struct asking asking = {machine, places_up_to(8), .want = want};
		struct asking again = {other, places_up_to(8), .want = want};

		test_about("round %d", round);
		for (size_t p = 0; p < 2; p++)
			CHECK_INT(ask(policies[p], &asking).value, ask(policies[p], &again).value);
		ga_machine_free(machine);
		ga_machine_free(other);
	}
}

/* ---- machines that are known ---- */

struct known {
	const char *machine;
	const char *offered; /* NULL: all */
	size_t want;
	const char *chosen;
	int64_t value;
};

static void check_known(const struct known *known)
{
	gpualloc_machine *machine = machine_built_in(known->machine);
	struct asking asking = {
		.machine = machine,
		.offered = known->offered ? places_of(known->offered)
					  : places_up_to(machine->device_count),
		.want = known->want,
	};
	struct answered answered = ask(&ga_policy_bandwidth, &asking);

	test_about("%s, %zu of %s", known->machine, known->want,
		   known->offered ? known->offered : "all");
	CHECK_INT(answered.result, 0);
	CHECK_TEXT(places_text(&answered.chosen), known->chosen);
	CHECK_INT(answered.value, known->value);
	ga_machine_free(machine);
}

static void known_machines_give_known_sets(void)
{
	static const struct known cases[] = {
		/* where the sum of pair scores takes 0 to 5, which plan at 44 GB/s */
		{"dgx1-volta", NULL, 6, "0 2 3 4 6 7", 80000},
		{"dgx1-volta", NULL, 2, "2 3", 40000},
		{"dgx1-volta", NULL, 4, "0 1 2 3", 80000},
		{"dgx1-volta", NULL, 8, "0 1 2 3 4 5 6 7", 120000},
		/* {0..4} hangs on one link */
		{"dgx1-pascal", NULL, 5, "0 1 2 4 6", 36000},
		{"dgx1-pascal", NULL, 4, "0 1 2 3", 54000},
		{"dgx1-pascal", NULL, 6, "0 1 2 4 5 6", 54000},
		/* no link is left: the best way over PCIe */
		{"dgx1-volta", "0 5 6 7", 2, "6 7", 40000},
		{"dgx1-volta", "0 5", 2, "0 5", 6000},
		{"dgx1-pascal", "0 5 6", 2, "5 6", 18000},
		/* the ring crosses the sockets on the bridges */
		{"rtx8000x4", NULL, 2, "0 3", 40000},
		{"rtx8000x4", NULL, 4, "0 1 2 3", 9000},
		{"rtx8000x4", "0 1 2", 2, "1 2", 40000},
		{"rtx8000x4", "0 1", 2, "0 1", 9000},
		{"pcie16", NULL, 2, "0 1", 12000},
		{"pcie16", "1 3 4 6 9 11", 3, "1 3 4", 9000},
		{"pcie16", "1 3 4 6 9 11 12 13", 4, "9 11 12 13", 9000},
		{"pcie16", "0 2 5 7", 4, "0 2 5 7", 9000},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check_known(&cases[i]);
}

static void behind_switches_place_decides(void)
{
	static const struct known cases[] = {
		/* all links are equal: one node */
		{"hgx-h100", "0 1 4 5 6", 3, "4 5 6", 2 * 18 * 20600},
		/* of equal nodes, the one that leaves the other whole */
		{"hgx-h100", "0 1 2 3 4 5", 2, "4 5", 18 * 20600},
		{"hgx-h100", "0 1 2 3 4 5 6", 1, "4", GA_UNKNOWN},
		{"dgx-a100", "0 2 3 4 6", 2, "2 3", 12 * 20000},
		{"dgx-a100", "0 2 3 4 6", 1, "0", GA_UNKNOWN},
		{"dgx2", "0 2 4 6 8 9 10 11", 4, "8 9 10 11", 3 * 6 * 20000},
		{"nvl72", "0 5 6 8 9 10 11", 4, "8 9 10 11", 3 * 18 * 40100},
		{"nvl72", "0 5 6 8 9 10 11", 2, "8 9", 18 * 40100},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check_known(&cases[i]);
}

/* Links say nothing: of one node rather than of two. */
static void one_node_is_better_than_two(void)
{
	gpualloc_machine *machine = machine_empty(6);
	struct asking asking = {.machine = machine, .offered = places_up_to(6), .want = 3};
	struct answered answered;

	for (size_t i = 0; i < 6; i++)
		machine->devices[i].numa = i % 2;
	answered = ask(&ga_policy_bandwidth, &asking);
	CHECK_TEXT(places_text(&answered.chosen), "0 2 4");
	ga_machine_free(machine);
}

static void required_devices_are_kept(void)
{
	gpualloc_machine *machine = machine_built_in("dgx1-volta");
	struct asking asking = {machine, places_up_to(8), places_of("1"), .want = 6};
	struct answered answered = ask(&ga_policy_bandwidth, &asking);

	CHECK_INT(answered.result, 0);
	CHECK_TEXT(places_text(&answered.chosen), "1 2 3 5 6 7");
	CHECK_INT(answered.value, 80000);
	asking.required = places_of("0 5");
	asking.want = 2;
	CHECK_INT(ask(&ga_policy_bandwidth, &asking).value, 6000);
	ga_machine_free(machine);
}

/* More sets than can be tried: the bound proves the answer. */
static void large_machines_are_proven_by_their_bound(void)
{
	gpualloc_machine *machine = machine_built_in("nvl72");
	struct asking asking = {.machine = machine, .offered = places_up_to(72)};

	for (size_t want = 2; want <= 72; want++) {
		struct answered answered;

		asking.want = want;
		answered = ask(&ga_policy_bandwidth, &asking);
		test_about("%zu of 72", want);
		CHECK_INT(answered.result, 0);
		CHECK(answered.proven);
		CHECK_INT(answered.value, (int64_t)(want - 1) * 18 * 40100);
	}
	ga_machine_free(machine);
}

/* Even with a tiny budget the answer on a tree is as good as the best of all. */
static void trees_are_solved_without_trying_all(void)
{
	static const char *const names[] = {"pcie16", "dgx2", "hgx-h100", "dgx-a100"};
	uint64_t state = 6;

	for (uint32_t round = 0; round < 200; round++) {
		gpualloc_machine *machine = machine_built_in(names[round % 4]);
		size_t count = machine->device_count;
		struct asking asking = {
			.machine = machine,
			.offered = some_of(&state, count,
					   2 + test_random(&state, (uint32_t)count - 1)),
		};
		struct answered all, quick;

		asking.want = 2 + test_random(&state, (uint32_t)asking.offered.count - 1);
		asking.required = asking.offered;
		asking.required.count = test_random(&state, 3);
		all = ask(&ga_policy_bandwidth, &asking);
		asking.budget = 1;
		quick = ask(&ga_policy_bandwidth, &asking);
		test_about("round %u", round);
		CHECK_INT(quick.value, all.value);
		CHECK(quick.proven);
		CHECK_INT(ga_places_score(machine, quick.chosen.at, asking.want),
			  ga_places_score(machine, all.chosen.at, asking.want));
		ga_machine_free(machine);
	}
}

/* Nothing regular, and patience for a part of the sets only: the best is found all the same. */
static void exchanging_finds_nearly_always_the_best(void)
{
	uint64_t state = 8;
	size_t found = 0, rounds = 100;

	for (size_t round = 0; round < rounds; round++) {
		gpualloc_machine *machine = machine_random(&state, 12, 70);
		struct asking asking = {.machine = machine, .offered = places_up_to(12), .want = 5};
		struct answered all = ask(&ga_policy_bandwidth, &asking), quick;

		asking.budget = 15000;
		quick = ask(&ga_policy_bandwidth, &asking);
		test_about("round %zu", round);
		CHECK(quick.value <= all.value);
		CHECK(quick.bound >= all.value);
		found += quick.value == all.value;
		ga_machine_free(machine);
	}
	test_about("%zu of %zu", found, rounds);
	CHECK(found >= 90);
}

static void no_set_is_above_the_bound(void)
{
	uint64_t state = 7;

	for (uint32_t round = 0; round < 100; round++) {
		gpualloc_machine *machine = machine_random(&state, 9, test_random(&state, 100));
		ga_auto_set_graph struct ga_set_graph graph = {0};
		struct asking asking = {.machine = machine, .offered = some_of(&state, 9, 8)};
		bool required[9] = {false};
		int64_t bound;

		asking.want = 2 + test_random(&state, 7);
		asking.required = asking.offered;
		asking.required.count = test_random(&state, 3);
		for (size_t i = 0; i < asking.required.count; i++)
			required[asking.required.at[i]] = true;
		test_about("round %u", round);
		CHECK_INT(ga_graph_of_machine(machine, places_up_to(9).at, 9, &graph), 0);
		CHECK_INT(ga_set_bandwidth_bound(&graph, asking.offered.at, 8, required,
						 asking.want, &bound),
			  0);
		CHECK(ask(&ga_policy_bandwidth, &asking).value <= bound);
		ga_machine_free(machine);
	}
}

static void without_proof_the_bound_says_how_far(void)
{
	uint64_t state = 5;
	gpualloc_machine *machine = machine_random(&state, 60, 30);
	struct asking asking = {machine, places_up_to(60), .want = 9, .budget = 1000};
	struct answered answered = ask(&ga_policy_bandwidth, &asking);

	CHECK_INT(answered.result, 0);
	CHECK(!answered.proven);
	CHECK(answered.value > 0);
	CHECK(answered.bound > answered.value);
	places_sort(&answered.chosen);
	CHECK_INT(ga_places_bandwidth(machine, answered.chosen.at, 9), answered.value);
	ga_machine_free(machine);
}

static const struct test_case cases[] = {
	{"bandwidth takes the best of all sets", bandwidth_takes_the_best_of_all_sets},
	{"numbering changes no value", numbering_changes_no_value},
	{"known machines give known sets", known_machines_give_known_sets},
	{"behind switches, place decides", behind_switches_place_decides},
	{"one node is better than two", one_node_is_better_than_two},
	{"required devices are kept", required_devices_are_kept},
	{"large machines are proven by their bound", large_machines_are_proven_by_their_bound},
	{"trees are solved without trying all", trees_are_solved_without_trying_all},
	{"exchanging finds nearly always the best", exchanging_finds_nearly_always_the_best},
	{"no set is above the bound", no_set_is_above_the_bound},
	{"without a proof the bound says how far", without_proof_the_bound_says_how_far},
};

TEST_MAIN(cases)
