/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines without peer-to-peer: GPUs below one switch share its uplink, so spread sets are fast.
 * Figures of the eight RTX 4090 are those of docs/DECISIONS.md.
 */
#include "asking.h"
#include "cleanup.h"
#include "order.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static int64_t bandwidth_of(const gpualloc_machine *machine, const char *text)
{
	struct places set = places_of(text);

	return ga_places_bandwidth(machine, set.at, set.count);
}

static void uplinks_are_shared(void)
{
	ga_auto_machine gpualloc_machine *machine = machine_geforce(0);

	CHECK_INT(bandwidth_of(machine, "0 4"), 10900);
	CHECK_INT(bandwidth_of(machine, "0 1"), 8000);
	CHECK_INT(bandwidth_of(machine, "0 2"), 8000);
	CHECK_INT(bandwidth_of(machine, "0 2 4"), 8000);
	CHECK_INT(bandwidth_of(machine, "0 1 2"), 5333);
	CHECK_INT(bandwidth_of(machine, "0 1 4 5"), 8000);
	CHECK_INT(bandwidth_of(machine, "0 1 2 4"), 5333);
	CHECK_INT(bandwidth_of(machine, "0 1 2 3"), 4000);
	CHECK_INT(bandwidth_of(machine, "0 1 2 3 4"), 4000);
	CHECK_INT(bandwidth_of(machine, "0 1 2 4 5 6"), 5333);
}

/* A ring enters a bridged pair once and leaves it once, so the pair weighs as one. */
static void bridges_keep_what_they_carry(void)
{
	ga_auto_machine gpualloc_machine *machine = machine_geforce(4);

	CHECK_INT(bandwidth_of(machine, "0 1"), 48000);
	CHECK_INT(bandwidth_of(machine, "0 1 2 3"), 8000);
	CHECK_INT(bandwidth_of(machine, "0 1 2"), 8000);
	CHECK_INT(bandwidth_of(machine, "0 1 4 5"), 10900);
	CHECK_INT(bandwidth_of(machine, "0 1 2 4"), 8000);
	CHECK_INT(bandwidth_of(machine, "0 2 4 6"), 8000);
	CHECK_INT(bandwidth_of(machine, "0 1 2 3 4 5 6 7"), 8000);
}

/* A pair whose peer-to-peer is known to work, in a machine where others have none. */
static void paths_of_their_own_are_used(void)
{
	ga_auto_machine gpualloc_machine *machine = machine_geforce(0);

	ga_links_set_p2p(&machine->links, 0, 1, GPUALLOC_P2P_OK);
	CHECK_INT(bandwidth_of(machine, "0 1"), 12000);
	CHECK_INT(bandwidth_of(machine, "0 1 2"), 8000);
	CHECK_INT(bandwidth_of(machine, "0 1 4"), 10900);
	ga_links_set_p2p(&machine->links, 0, 4, GPUALLOC_P2P_UNKNOWN);
	CHECK_INT(bandwidth_of(machine, "0 4"), 6000);
}

/* Sockets without a switch below them. */
static void sockets_share_too(void)
{
	ga_auto_machine gpualloc_machine *machine = machine_geforce(0);

	for (size_t i = 0; i < 8; i++)
		for (size_t j = 0; j < i; j++)
			if (i / 4 == j / 4)
				ga_links_set_level(&machine->links, i, j, GPUALLOC_LEVEL_NODE);
	CHECK_INT(bandwidth_of(machine, "0 1"), 10900);
	CHECK_INT(bandwidth_of(machine, "0 1 4 5"), 10900);
	CHECK_INT(bandwidth_of(machine, "0 1 2 3"), 8000);
}

static size_t list(uint32_t mask, size_t *set)
{
	size_t count = 0;

	for (; mask; mask &= mask - 1)
		set[count++] = (size_t)__builtin_ctz(mask);
	return count;
}

/* Sockets, switches below them, and GPUs below either; a part of the pairs with their own paths. */
static gpualloc_machine *random_tree(uint64_t *state, size_t count)
{
	gpualloc_machine *machine = machine_random(state, count, test_random(state, 40));
	uint32_t without = 30 + test_random(state, 71);
	size_t at[16];

	for (size_t i = 0; i < count; i++) {
		at[i] = test_random(state, 4);
		for (size_t j = 0; j < i; j++) {
			uint32_t nearer = test_random(state, 2);

			ga_links_set_level(&machine->links, i, j,
					   at[i] == at[j]           ? GPUALLOC_LEVEL_PXB + nearer
					   : at[i] / 2 == at[j] / 2 ? GPUALLOC_LEVEL_NODE + nearer
								    : GPUALLOC_LEVEL_SYS);
			if (test_random(state, 100) < without)
				ga_links_set_p2p(&machine->links, i, j, GPUALLOC_P2P_NO);
		}
	}
	return machine;
}

/* The bound holds, and the search finds what trying every set finds. */
static void the_best_set_is_found(void)
{
	uint64_t state = 11;

	for (size_t round = 0; round < 300; round++) {
		size_t count = 4 + test_random(&state, 6);
		ga_auto_machine gpualloc_machine *machine = random_tree(&state, count);
		struct asking asking = {.machine = machine, .offered = places_up_to(count)};

		test_about("round %zu", round);
		for (asking.want = 2; asking.want <= count; asking.want++) {
			struct answered answered = ask(&ga_policy_bandwidth, &asking);
			int64_t best = 0;

			for (uint32_t mask = 1; mask < 1U << count; mask++) {
				size_t set[16];

				if (list(mask, set) == asking.want &&
				    ga_places_bandwidth(machine, set, asking.want) > best)
					best = ga_places_bandwidth(machine, set, asking.want);
			}
			CHECK_INT(answered.value, best);
			CHECK(answered.bound >= best);
			CHECK_INT(ga_places_bandwidth(machine, answered.chosen.at, asking.want),
				  best);
		}
	}
}

/* ---- a measured machine, made from the figures: noise reaches far below them ---- */

enum { SETS = 256, SEEDS = 5 };

static double figure(size_t count, size_t fuller)
{
	static const double by_fuller[] = {0, 10.9, 7.6, 5.5, 4.2};

	return count == 8 ? 2.7 : count == 2 && fuller == 2 ? 6.9 : by_fuller[fuller];
}

static void measure(uint64_t *state, double *measured)
{
	for (uint32_t mask = 1; mask < SETS; mask++) {
		size_t low = (size_t)__builtin_popcount(mask & 0xf);
		size_t high = (size_t)__builtin_popcount(mask >> 4);
		double lost = test_random(state, 100) < 10 ? test_random(state, 400) / 1000.0
							   : test_random(state, 25) / 1000.0;

		measured[mask] = figure(low + high, low > high ? low : high) * (1 - lost);
	}
}

/* Mean share of the best measured, over every set that is free and every part of it. */
static double mean_share(const gpualloc_machine *machine, const struct ga_policy *policy,
			 const double *measured, size_t *ret_cases)
{
	double sum = 0;
	size_t cases = 0;

	for (uint32_t free_ones = 1; free_ones < SETS; free_ones++) {
		struct asking asking = {.machine = machine};

		asking.offered.count = list(free_ones, asking.offered.at);
		for (asking.want = 2; asking.want < asking.offered.count; asking.want++) {
			struct answered answered = ask(policy, &asking);
			uint32_t chosen = 0;
			double best = 0;

			CHECK_INT(answered.result, 0);
			for (size_t i = 0; i < asking.want; i++)
				chosen |= 1U << answered.chosen.at[i];
			for (uint32_t part = free_ones; part; part = (part - 1) & free_ones)
				if ((size_t)__builtin_popcount(part) == asking.want &&
				    measured[part] > best)
					best = measured[part];
			sum += measured[chosen] / best;
			cases++;
		}
	}
	*ret_cases = cases;
	return sum / (double)cases;
}

static void chosen_well_by_measurement(void)
{
	ga_auto_machine gpualloc_machine *machine = machine_geforce(0);
	static const struct {
		const struct ga_policy *policy;
		double least, most;
	} cases[] = {
		{&ga_policy_bandwidth, .97, 1},
		{&ga_policy_balanced, .96, 1},
		{&ga_policy_best_effort, 0, .75}, /* near GPUs are slow */
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		double mean = 0;

		for (uint64_t seed = 1; seed <= SEEDS; seed++) {
			double measured[SETS] = {0};
			uint64_t state = seed;
			size_t count;

			measure(&state, measured);
			mean += mean_share(machine, cases[i].policy, measured, &count) / SEEDS;
			CHECK_INT(count, 522);
		}
		printf("# %s: %.4f of the best\n", cases[i].policy->name, mean);
		CHECK(mean >= cases[i].least && mean <= cases[i].most);
	}
}

/* Ranks that are neighbours lie in different sockets; those of a bridge stay together. */
static void neighbours_are_spread(void)
{
	static const struct {
		size_t pairs;
		const char *order;
	} cases[] = {{0, "0 4 1 5"}, {4, "0 1 4 5"}};

	for (size_t i = 0; i < 2; i++) {
		ga_auto_machine gpualloc_machine *machine = machine_geforce(cases[i].pairs);
		const gpualloc_device *devices[] = {&machine->devices[0], &machine->devices[1],
						    &machine->devices[4], &machine->devices[5]};
		struct places places = {.count = 4};

		CHECK_INT(ga_order_devices(machine, devices, 4, NULL), 0);
		for (size_t d = 0; d < 4; d++)
			places.at[d] = (size_t)(devices[d] - machine->devices);
		CHECK_TEXT(places_text(&places), cases[i].order);
	}
}

static const struct test_case cases[] = {
	{"uplinks are shared", uplinks_are_shared},
	{"bridges keep what they carry", bridges_keep_what_they_carry},
	{"their own paths are used", paths_of_their_own_are_used},
	{"sockets share too", sockets_share_too},
	{"the best set is found", the_best_set_is_found},
	{"chosen well by measurement", chosen_well_by_measurement},
	{"neighbours are spread", neighbours_are_spread},
};
TEST_MAIN(cases)
