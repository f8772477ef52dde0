/* SPDX-License-Identifier: Apache-2.0 */
/*
 * balanced against its definition tried out in full, what it does for one device, and whether it
 * pays: a stream of jobs, placed by it and by others.
 */
#include "asking.h"
#include "cleanup.h"
#include "stream.h"
#include "test.h"

#include <string.h>

/* ---- the definition, tried out in full ---- */

enum { ONE = 1 << 16, SMALLEST_LATER = 2, LARGEST_LATER = 6, IMPOSSIBLE = 3000 };

static struct places members(uint32_t mask)
{
	struct places set = {0};

	for (; mask; mask &= mask - 1)
		set.at[set.count++] = (size_t)__builtin_ctz(mask);
	return set;
}

static int64_t bandwidth_of(const gpualloc_machine *machine, uint32_t mask)
{
	struct places set = members(mask);

	return ga_places_bandwidth(machine, set.at, set.count);
}

/* The best bandwidth of any set of size within mask; a size that does not fit is very slow. */
static int64_t most_within(const gpualloc_machine *machine, uint32_t mask, int size)
{
	int64_t most = IMPOSSIBLE;

	for (uint32_t part = mask; part; part = (part - 1) & mask)
		if (__builtin_popcount(part) == size && bandwidth_of(machine, part) > most)
			most = bandwidth_of(machine, part);
	return most;
}

static int64_t lag(int64_t ideal, int64_t bandwidth)
{
	return ideal <= bandwidth ? ONE : ideal * ONE / bandwidth;
}

struct plain {
	const gpualloc_machine *machine;
	uint32_t whole, idle;
	int want, later_last;
};

static int64_t plain_lags(const struct plain *plain, uint32_t set)
{
	int64_t lags = 0;

	if (plain->want > 1)
		lags = 5 * lag(most_within(plain->machine, plain->whole, plain->want),
			       bandwidth_of(plain->machine, set));
	for (int size = SMALLEST_LATER; size <= plain->later_last; size++)
		lags += lag(most_within(plain->machine, plain->whole, size),
			    most_within(plain->machine, plain->idle & ~set, size));
	return lags;
}

static uint32_t mask_of(const struct places *places)
{
	uint32_t mask = 0;

	for (size_t i = 0; i < places->count; i++)
		mask |= 1U << places->at[i];
	return mask;
}

/* Of all sets the one of least lag, among equals of the highest pair scores. */
static void check_against_all_sets(const struct plain *plain, const struct asking *asking)
{
	struct answered answered = ask(&ga_policy_balanced, asking);
	uint32_t chosen = mask_of(&answered.chosen), offered = mask_of(&asking->offered);
	uint32_t required = mask_of(&asking->required);
	int64_t lags = plain_lags(plain, chosen);
	int64_t sum = ga_places_score(asking->machine, answered.chosen.at, asking->want);
	int weights =
		(plain->want > 1 ? 5 : 0) + (plain->later_last >= 2 ? plain->later_last - 1 : 0);

	CHECK_INT(answered.result, 0);
	CHECK(answered.proven);
	CHECK_INT(answered.value, weights ? INT64_C(1000000) * weights * ONE / lags : GA_UNKNOWN);
	for (uint32_t set = offered; set; set = (set - 1) & offered) {
		struct places places = members(set);
		int64_t other;

		if (places.count != asking->want || (set & required) != required)
			continue;
		other = plain_lags(plain, set);
		CHECK(other >= lags);
		CHECK(other > lags ||
		      ga_places_score(asking->machine, places.at, places.count) <= sum);
	}
}

/* Any of the places, by chance; at least one. */
static struct places some_of(uint64_t *state, size_t count)
{
	struct places places = {0};

	for (size_t i = 0; i < count; i++)
		if (test_random(state, 4) > 0)
			places.at[places.count++] = i;
	if (places.count == 0)
		places = places_of("0");
	return places;
}

static void balanced_takes_the_best_of_all_sets(void)
{
	uint64_t state = 1;

	for (uint32_t round = 0; round < 60; round++) {
		gpualloc_machine *machine = machine_random(&state, 2 + test_random(&state, 6),
							   test_random(&state, 100));
		struct places idle = some_of(&state, machine->device_count);
		struct asking asking = {.machine = machine,
					.offered = some_of(&state, machine->device_count)};
		struct plain plain = {.machine = machine,
				      .whole = (1U << machine->device_count) - 1};
		uint32_t offered = mask_of(&asking.offered), busy;
		int left;

		test_about("round %u", round);
		asking.idle = round % 2 ? &idle : NULL;
		asking.want = 1 + test_random(&state, (uint32_t)asking.offered.count);
		asking.required = asking.offered;
		asking.required.count = test_random(&state, (uint32_t)asking.want + 1) / 2;
		plain.want = (int)asking.want;
		plain.idle = asking.idle ? mask_of(&idle) : offered;
		busy = offered & ~plain.idle;
		left = plain.want - __builtin_popcount(busy);
		left = __builtin_popcount(plain.idle) - (left > 0 ? left : 0);
		plain.later_last = left < LARGEST_LATER ? left : LARGEST_LATER;
		check_against_all_sets(&plain, &asking);
		ga_machine_free(machine);
	}
}

/* ---- what people see ---- */

static void check_chosen(const gpualloc_machine *machine, const char *offered, size_t want,
			 const char *chosen)
{
	struct asking asking = {
		.machine = machine,
		.offered = places_of(offered),
		.want = want,
	};
	struct answered answered = ask(&ga_policy_balanced, &asking);

	test_about("%zu of %s", want, offered);
	CHECK_INT(answered.result, 0);
	CHECK_TEXT(places_text(&answered.chosen), chosen);
}

static void one_device_leaves_pairs_whole(void)
{
	gpualloc_machine *machine = machine_bridged_pairs();

	check_chosen(machine, "0 1 2 3 4 5 6 7", 1, "0");
	check_chosen(machine, "0 1 2 3 5 6 7", 1, "5");
	check_chosen(machine, "0 1 2 3 6", 1, "6");
	check_chosen(machine, "0 1 5", 1, "5");
	check_chosen(machine, "0 1 2 3 5 6 7", 3, "5 6 7");
	check_chosen(machine, "0 1 3 5 7", 2, "0 1");
	ga_machine_free(machine);
}

static void one_device_comes_from_the_switch_in_use(void)
{
	gpualloc_machine *machine = machine_built_in("pcie16");

	check_chosen(machine, "0 1 2 3 4 5 6 7 9 10 11 12 13 14 15", 1, "9");
	check_chosen(machine, "0 1 2 3 4 5 6 7 10 11 12 13 14 15", 2, "10 11");
	check_chosen(machine, "0 1 2 3 4 5 6 7 10 11 12 13 14 15", 4, "12 13 14 15");
	ga_machine_free(machine);
}

/* Seven on one socket, of which two pairs share a bridge, two on the other: pairs stay whole. */
static void one_without_a_neighbour_goes_first(void)
{
	gpualloc_machine *machine = machine_empty(9);

	for (size_t i = 0; i < 9; i++)
		for (size_t j = 0; j < i; j++)
			ga_links_set_level(&machine->links, i, j,
					   (i < 7) != (j < 7) ? GPUALLOC_LEVEL_SYS
							      : GPUALLOC_LEVEL_NODE);
	ga_links_set_level(&machine->links, 1, 2, GPUALLOC_LEVEL_PHB);
	ga_links_set_level(&machine->links, 3, 4, GPUALLOC_LEVEL_PHB);
	ga_links_set_level(&machine->links, 7, 8, GPUALLOC_LEVEL_PHB);
	check_chosen(machine, "7 1 2 3 4 5 6 0 8", 1, "5");
	check_chosen(machine, "7 1 2 3 4 5 0 8", 1, "7"); /* or six would not fit together */
	check_chosen(machine, "1 2 3 4 7 8", 2, "7 8");
	ga_machine_free(machine);
}

static void behind_nvswitch_whole_nodes_are_left(void)
{
	gpualloc_machine *machine = machine_built_in("hgx-h100");

	check_chosen(machine, "0 1 2 3 4 5 6", 1, "4");
	check_chosen(machine, "0 1 2 3 4 5", 2, "4 5");
	check_chosen(machine, "0 1 2 3 4 5 6 7", 4, "0 1 2 3");
	ga_machine_free(machine);
	machine = machine_built_in("nvl72");
	check_chosen(machine, "0 1 2 3 4 5 6 7 8 9 11 12 13 14 15", 1, "11");
	check_chosen(machine, "0 1 2 3 4 5 6 7 8 9 12 13 14 15 18 19 20 21 22 23", 4, "0 1 2 3");
	check_chosen(machine, "0 1 2 3 4 5 6 7 8 9 12 13 14 15 18 19 20 21 22 23", 2, "8 9");
	ga_machine_free(machine);
}

/* The device that --only leaves out is still one that others may ask for. */
static void what_is_idle_counts_beyond_what_is_offered(void)
{
	gpualloc_machine *machine = machine_bridged_pairs();
	struct places idle = places_of("1 2 4 5");
	struct asking asking = {
		.machine = machine,
		.offered = places_of("4 1 2"),
		.want = 1,
		.idle = &idle,
	};
	struct answered answered = ask(&ga_policy_balanced, &asking);

	CHECK_TEXT(places_text(&answered.chosen), "1");
	asking.idle = NULL;
	answered = ask(&ga_policy_balanced, &asking);
	CHECK_TEXT(places_text(&answered.chosen), "4");
	ga_machine_free(machine);
}

static void required_devices_are_kept(void)
{
	gpualloc_machine *machine = machine_built_in("dgx1-volta");
	struct asking asking = {
		.machine = machine,
		.offered = places_up_to(8),
		.required = places_of("5"),
		.want = 2,
	};
	struct answered answered = ask(&ga_policy_balanced, &asking);

	CHECK_INT(answered.result, 0);
	CHECK_INT(answered.chosen.count, 2);
	CHECK(answered.chosen.at[0] == 5 || answered.chosen.at[1] == 5);
	ga_machine_free(machine);
}

/* ---- in the long run ---- */

static void check_stream(const char *name, const gpualloc_machine *machine, size_t least)
{
	struct stream stream = {machine, least, 5, 1000, 90, 42};
	int64_t balanced = stream_quality(&stream, &ga_policy_balanced);
	int64_t best_effort = stream_quality(&stream, &ga_policy_best_effort);

	test_about("%s, jobs of %zu to 5: balanced %lld, best-effort %lld", name, least,
		   (long long)balanced, (long long)best_effort);
	CHECK(balanced > best_effort);
}

static void balanced_beats_best_effort_over_a_stream(void)
{
	static const char *const names[] = {"dgx1-volta", "dgx1-pascal", "bridged pairs"};

	for (size_t i = 0; i < 3; i++) {
		gpualloc_machine *machine =
			i == 2 ? machine_bridged_pairs() : machine_built_in(names[i]);

		check_stream(names[i], machine, 1);
		check_stream(names[i], machine, 2);
		ga_machine_free(machine);
	}
}

static const struct test_case cases[] = {
	{"balanced takes the best of all sets", balanced_takes_the_best_of_all_sets},
	{"one device leaves pairs whole", one_device_leaves_pairs_whole},
	{"one device comes from the switch in use", one_device_comes_from_the_switch_in_use},
	{"one without a neighbour goes first", one_without_a_neighbour_goes_first},
	{"behind NVSwitch, whole nodes are left", behind_nvswitch_whole_nodes_are_left},
	{"idle devices count even if they are not offered",
	 what_is_idle_counts_beyond_what_is_offered},
	{"required devices are kept", required_devices_are_kept},
	{"balanced beats best-effort over a stream", balanced_beats_best_effort_over_a_stream},
};

TEST_MAIN(cases)
