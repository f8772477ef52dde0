/* SPDX-License-Identifier: Apache-2.0 */
/* Turns levels and links into weights; see machine_graph.h. */
#include "machine_graph.h"

#include "cleanup.h"
#include "policy.h"
#include "rates.h"
#include "text.h"

/* Whether traffic between the two goes through host memory. */
static bool is_shared(const struct ga_links *links, size_t a, size_t b)
{
	return a != b && ga_links_nvlinks(links, a, b) <= 0 &&
	       ga_links_p2p(links, a, b) == GPUALLOC_P2P_NO;
}

/*
 * If they share uplinks, GPUs far from each other go well together. Unknown is always the worst.
 */
static int32_t score_of(const gpualloc_machine *machine, size_t a, size_t b)
{
	int32_t level = (int32_t)ga_links_level(&machine->links, a, b);

	if (!is_shared(&machine->links, a, b) || level == GPUALLOC_LEVEL_UNKNOWN)
		return (int32_t)ga_pair_score(machine, a, b);
	return GA_SCORE_A_LEVEL * (GPUALLOC_LEVEL_SELF - level);
}

static void set_pair(const gpualloc_machine *machine, const size_t *places, const int32_t *rates,
		     size_t a, size_t b, struct ga_set_graph *graph)
{
	const struct ga_links *links = &machine->links;
	int count = ga_links_nvlinks(links, places[a], places[b]);
	int32_t rate = rates[a] < rates[b] ? rates[a] : rates[b];
	int32_t link = rate * (count < 0 ? 0 : count < GA_NVLINKS_MAX ? count : GA_NVLINKS_MAX);
	int32_t ring = link > 0 ? GA_RATE_PCIE_MAX
				: ga_rate_pcie(ga_links_level(links, places[a], places[b]));

	if (is_shared(links, places[a], places[b]))
		ring = 0;
	ga_set_graph_pair(graph, a, b, link, ring, score_of(machine, places[a], places[b]));
}

/*
 * Which switch or socket each GPU is below, named by the first vertex that it reaches without
 * leaving it. Levels normally form a tree; if not, the earlier vertex decides.
 */
static void set_uplinks(const gpualloc_machine *machine, const size_t *places,
			struct ga_set_graph *graph)
{
	static const enum gpualloc_level least[GA_SET_UPLINK_KINDS] = {GPUALLOC_LEVEL_PXB,
								       GPUALLOC_LEVEL_NODE};

	graph->own_uplink = GA_RATE_HOST;
	graph->uplink[0] = GA_RATE_SWITCH;
	graph->uplink[1] = GA_RATE_SOCKET;
	for (size_t kind = 0; kind < GA_SET_UPLINK_KINDS; kind++)
		for (size_t i = 0; i < graph->count; i++) {
			size_t j = 0;

			while (j < i &&
			       ga_links_level(&machine->links, places[i], places[j]) < least[kind])
				j++;
			graph->below[kind][i] = j < i ? graph->below[kind][j] : (int32_t)i;
		}
}

/* Numbers nodes in order of appearance. */
static void set_nodes(const gpualloc_machine *machine, const size_t *places,
		      struct ga_set_graph *graph)
{
	int32_t next = 0;

	for (size_t i = 0; i < graph->count; i++) {
		graph->node[i] = -1;
		for (size_t j = 0; j < i && graph->node[i] < 0; j++)
			if (machine->devices[places[j]].numa == machine->devices[places[i]].numa)
				graph->node[i] = graph->node[j];
		if (graph->node[i] < 0)
			graph->node[i] = next++;
	}
}

/* For each GPU. GPUs of one model, which are mostly next to each other, are looked up once. */
static void set_rates(const gpualloc_machine *machine, const size_t *places, size_t count,
		      int32_t *rates)
{
	for (size_t i = 0; i < count; i++) {
		const gpualloc_device *device = &machine->devices[places[i]];
		const gpualloc_device *before = i > 0 ? &machine->devices[places[i - 1]] : NULL;

		rates[i] = before && before->nvlink_version == device->nvlink_version &&
					   ga_text_same(before->name, device->name)
				   ? rates[i - 1]
				   : ga_rate_nvlink(device);
	}
}

static int make(const gpualloc_machine *machine, const size_t *places, size_t count,
		int (*finish)(struct ga_set_graph *graph), struct ga_set_graph *ret_graph)
{
	enum { FEW = 16 };
	ga_auto_set_graph struct ga_set_graph graph = {0};
	ga_auto_free int32_t *many = count > FEW ? calloc(count, sizeof *many) : NULL;
	int32_t few[FEW], *rates = count > FEW ? many : few;

	if (!rates || ga_set_graph_init(&graph, count) < 0)
		return GPUALLOC_ENOMEM;
	set_rates(machine, places, count, rates);
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			set_pair(machine, places, rates, i, j, &graph);
	set_nodes(machine, places, &graph);
	if (graph.shared)
		set_uplinks(machine, places, &graph);
	if (finish(&graph) < 0)
		return GPUALLOC_ENOMEM;
	*ret_graph = graph;
	graph = (struct ga_set_graph){0};
	return 0;
}

int ga_graph_of_machine(const gpualloc_machine *machine, const size_t *places, size_t count,
			struct ga_set_graph *ret_graph)
{
	return make(machine, places, count, ga_set_graph_finish, ret_graph);
}

int ga_graph_of_set(const gpualloc_machine *machine, const size_t *places, size_t count,
		    struct ga_set_graph *ret_graph)
{
	return make(machine, places, count, ga_set_graph_finish_briefly, ret_graph);
}
