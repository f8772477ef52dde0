/* SPDX-License-Identifier: Apache-2.0 */
/* Levels and links become weights; see machine_graph.h. */
#include "machine_graph.h"

#include "cleanup.h"
#include "policy.h"
#include "rates.h"

static void set_pair(const gpualloc_machine *machine, const size_t *places, const int32_t *rates,
		     size_t a, size_t b, struct ga_set_graph *graph)
{
	const struct ga_links *links = &machine->links;
	int count = ga_links_nvlinks(links, places[a], places[b]);
	int32_t rate = rates[a] < rates[b] ? rates[a] : rates[b];
	int32_t link = rate * (count < 0 ? 0 : count < GA_NVLINKS_MAX ? count : GA_NVLINKS_MAX);
	int32_t pcie = ga_rate_pcie(ga_links_level(links, places[a], places[b]));

	ga_set_graph_pair(graph, a, b, link, link > 0 ? GA_RATE_PCIE_MAX : pcie,
			  (int32_t)ga_pair_score(machine, places[a], places[b]));
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

int ga_graph_of_machine(const gpualloc_machine *machine, const size_t *places, size_t count,
			struct ga_set_graph *ret_graph)
{
	ga_auto_set_graph struct ga_set_graph graph = {0};
	ga_auto_free int32_t *rates = calloc(count + 1, sizeof *rates);

	if (!rates || ga_set_graph_init(&graph, count) < 0)
		return GPUALLOC_ENOMEM;
	for (size_t i = 0; i < count; i++)
		rates[i] = ga_rate_nvlink(&machine->devices[places[i]]);
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			set_pair(machine, places, rates, i, j, &graph);
	set_nodes(machine, places, &graph);
	if (ga_set_graph_finish(&graph) < 0)
		return GPUALLOC_ENOMEM;
	*ret_graph = graph;
	graph = (struct ga_set_graph){0};
	return 0;
}
