/* SPDX-License-Identifier: Apache-2.0 */
/* Predicted bandwidth of a set against its definition tried out in full, and its constants. */
#include "asking.h"
#include "cleanup.h"
#include "machine_graph.h"
#include "rates.h"
#include "test.h"

/* ---- the definitions, tried out in full ---- */

static int64_t plain_cut(const struct ga_set_graph *graph, const struct places *set)
{
	int64_t best = INT64_MAX;

	for (uint32_t side = 1; side < (1U << set->count) - 1; side++) {
		int64_t across = 0;

		for (size_t i = 0; i < set->count; i++)
			for (size_t j = 0; j < set->count; j++)
				if ((side >> i & 1) && !(side >> j & 1))
					across += ga_set_graph_link(graph, set->at[i], set->at[j]);
		if (across < best)
			best = across;
	}
	return best;
}

/* Of all rings that continue from the vertices placed so far. */
static int32_t plain_ring(const struct ga_set_graph *graph, struct places *set, size_t placed,
			  int32_t least)
{
	int32_t best = 0;

	if (placed == set->count) {
		int32_t last = ga_set_graph_ring(graph, set->at[placed - 1], set->at[0]);

		return last < least ? last : least;
	}
	for (size_t i = placed; i < set->count; i++) {
		size_t next = set->at[i];
		int32_t edge = ga_set_graph_ring(graph, set->at[placed - 1], next), here;

		set->at[i] = set->at[placed];
		set->at[placed] = next;
		here = plain_ring(graph, set, placed + 1, edge < least ? edge : least);
		set->at[placed] = set->at[i];
		set->at[i] = next;
		if (here > best)
			best = here;
	}
	return best;
}

static struct places members(uint32_t mask)
{
	struct places set = {0};

	for (; mask; mask &= mask - 1)
		set.at[set.count++] = (size_t)__builtin_ctz(mask);
	return set;
}

static int64_t cut_of(const struct ga_set_graph *graph, const struct places *set)
{
	return ga_set_min_cut(graph, set->at, set->count,
			      ga_set_least_degree(graph, set->at, set->count));
}

static void min_cut_is_the_least_of_all_bipartitions(void)
{
	uint64_t state = 1;

	for (uint32_t round = 0; round < 60; round++) {
		gpualloc_machine *machine = machine_random(&state, 9, 20 + 10 * (round % 8));
		ga_auto_set_graph struct ga_set_graph graph = {0};
		struct places all = places_up_to(9);

		test_about("round %d", round);
		CHECK_INT(ga_graph_of_machine(machine, all.at, 9, &graph), 0);
		for (uint32_t mask = 3; mask < 512; mask += 1 + test_random(&state, 5)) {
			struct places set = members(mask);

			if (set.count >= 2)
				CHECK_INT(cut_of(&graph, &set), plain_cut(&graph, &set));
		}
		ga_machine_free(machine);
	}
}

/* Larger than the tables on the stack: what joins two halves is the cut. */
static void min_cut_of_many_is_found(void)
{
	gpualloc_machine *machine = machine_empty(40);
	struct places all = places_up_to(40);

	for (size_t i = 0; i < 40; i++)
		for (size_t j = 0; j < i; j++)
			ga_links_set_nvlinks(&machine->links, i, j, i % 2 == j % 2);
	ga_links_set_nvlinks(&machine->links, 4, 7, 2);
	ga_links_set_nvlinks(&machine->links, 12, 7, 1);
	machine->devices[7].nvlink_version = 5;
	CHECK_INT(ga_places_bandwidth(machine, all.at, 40), 3 * 12000);
	ga_machine_free(machine);
}

static void bottleneck_is_that_of_the_best_ring(void)
{
	uint64_t state = 2;

	for (uint32_t round = 0; round < 80; round++) {
		gpualloc_machine *machine = machine_random(&state, 8, 5 * (round % 4));
		ga_auto_set_graph struct ga_set_graph graph = {0};
		struct places all = places_up_to(8);

		test_about("round %d", round);
		CHECK_INT(ga_graph_of_machine(machine, all.at, 8, &graph), 0);
		for (uint32_t mask = 3; mask < 256; mask += 1 + test_random(&state, 9)) {
			struct places set = members(mask);

			if (set.count >= 2 && set.count <= 7)
				CHECK_INT(ga_set_bottleneck(&graph, set.at, set.count, 0),
					  plain_ring(&graph, &set, 1, INT32_MAX));
		}
		ga_machine_free(machine);
	}
}

static void pcie_levels_are_seen_as_a_tree(void)
{
	static const struct {
		const char *name;
		bool tree;
	} cases[] = {
		{"pcie16", true},      {"dgx2", true},       {"nvl72", true},
		{"a100-mig", true},    {"rtx8000x4", false}, /* bridged from socket to socket */
		{"dgx1-volta", false},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		gpualloc_machine *machine = machine_built_in(cases[i].name);
		ga_auto_set_graph struct ga_set_graph graph = {0};
		struct places all = places_up_to(machine->device_count);

		test_about("%s", cases[i].name);
		CHECK_INT(ga_graph_of_machine(machine, all.at, all.count, &graph), 0);
		CHECK_INT(graph.tree, cases[i].tree);
		ga_machine_free(machine);
	}
}

/* Islands of four: three of single links, one of double ones; and a path over PCIe between. */
static void the_bound_is_that_of_the_best_part(void)
{
	gpualloc_machine *machine = machine_empty(16);
	ga_auto_set_graph struct ga_set_graph graph = {0};
	struct places all = places_up_to(16);
	bool required[16] = {false};
	int64_t bound;

	for (size_t i = 0; i < 16; i++)
		for (size_t j = 0; j < i; j++) {
			ga_links_set_level(&machine->links, i, j, GPUALLOC_LEVEL_NODE);
			if (i / 4 == j / 4)
				ga_links_set_nvlinks(&machine->links, i, j, i / 4 == 2 ? 2 : 1);
		}
	ga_links_set_nvlinks(&machine->links, 8, 9, 9); /* which helps only the two */
	CHECK_INT(ga_graph_of_machine(machine, all.at, 16, &graph), 0);
	CHECK_INT(ga_set_bandwidth_bound(&graph, all.at, 16, required, 2, &bound), 0);
	CHECK_INT(bound, 9 * 12000);
	CHECK_INT(ga_set_bandwidth_bound(&graph, all.at, 16, required, 3, &bound), 0);
	CHECK_INT(bound, 2 * 2 * 12000);
	CHECK_INT(ga_set_bandwidth_bound(&graph, all.at, 16, required, 5, &bound), 0);
	CHECK_INT(bound, 9000);
	required[1] = true;
	CHECK_INT(ga_set_bandwidth_bound(&graph, all.at, 16, required, 4, &bound), 0);
	CHECK_INT(bound, 3 * 12000);
	required[5] = true;
	CHECK_INT(ga_set_bandwidth_bound(&graph, all.at, 16, required, 4, &bound), 0);
	CHECK_INT(bound, 9000);
	ga_machine_free(machine);
}

/* ---- constants ---- */

static void links_go_by_generation_and_name(void)
{
	static const struct {
		int64_t version;
		const char *name;
		int32_t rate;
	} cases[] = {
		{1, NULL, 18000},
		{2, "Quadro RTX 8000", 20000},
		{3, "NVIDIA A100-SXM4-40GB", 20000},
		{3, "NVIDIA RTX A6000", 12000},
		{3, NULL, 20000},
		{4, "NVIDIA H100 80GB HBM3", 20600},
		{5, "NVIDIA GB200", 40100},
		{6, NULL, 40100},
		{GA_UNKNOWN, "Tesla P100-SXM2-16GB", 18000},
		{GA_UNKNOWN, "Tesla V100-SXM2-16GB", 20000},
		{GA_UNKNOWN, "NVIDIA A100 80GB PCIe", 20000},
		{GA_UNKNOWN, "NVIDIA A10", 12000},
		{GA_UNKNOWN, "NVIDIA GeForce RTX 3090", 12000},
		{GA_UNKNOWN, "NVIDIA H200", 20600},
		{GA_UNKNOWN, "NVIDIA GH200 480GB", 20600},
		{GA_UNKNOWN, "NVIDIA B200", 40100},
		{GA_UNKNOWN, "Something new", 12000},
		{GA_UNKNOWN, NULL, 12000},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct gpualloc_device device = {.nvlink_version = cases[i].version};

		CHECK(ga_set_text(&device.name, cases[i].name) == 0);
		test_about("version %lld, %s", (long long)cases[i].version,
			   cases[i].name ? cases[i].name : "no name");
		CHECK_INT(ga_rate_nvlink(&device), cases[i].rate);
		free(device.name);
	}
}

static void a_mixed_pair_is_as_fast_as_the_slower(void)
{
	gpualloc_machine *machine = machine_empty(2);

	ga_links_set_nvlinks(&machine->links, 0, 1, 2);
	machine->devices[0].nvlink_version = 4;
	machine->devices[1].nvlink_version = 1;
	CHECK_INT(ga_places_bandwidth(machine, (size_t[]){0, 1}, 2), 36000);
	CHECK_INT(ga_places_bandwidth(machine, (size_t[]){0}, 1), GA_UNKNOWN);
	ga_machine_free(machine);
}

static void each_level_is_slower_than_the_nearer(void)
{
	for (int level = GPUALLOC_LEVEL_SYS; level < GPUALLOC_LEVEL_PIX; level++)
		CHECK(ga_rate_pcie((enum gpualloc_level)level) <
		      ga_rate_pcie((enum gpualloc_level)(level + 1)));
	CHECK_INT(ga_rate_pcie(GPUALLOC_LEVEL_UNKNOWN), ga_rate_pcie(GPUALLOC_LEVEL_SYS));
}

static const struct test_case cases[] = {
	{"minimum cut is the least of all bipartitions", min_cut_is_the_least_of_all_bipartitions},
	{"minimum cut of many devices is found", min_cut_of_many_is_found},
	{"bottleneck is that of the best ring", bottleneck_is_that_of_the_best_ring},
	{"PCIe levels are seen as a tree", pcie_levels_are_seen_as_a_tree},
	{"the bound is that of the best part", the_bound_is_that_of_the_best_part},
	{"links go by generation and name", links_go_by_generation_and_name},
	{"a mixed pair is as fast as the slower", a_mixed_pair_is_as_fast_as_the_slower},
	{"each level is slower than the nearer", each_level_is_slower_than_the_nearer},
};

TEST_MAIN(cases)
