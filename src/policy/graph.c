/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of links; see graph.h. */
#include "graph.h"

#include "cleanup.h"
#include "rates.h"

#include <string.h>

void ga_graph_free(struct ga_graph *graph)
{
	free(graph->nvlink);
	free(graph->ring);
	free(graph->score);
	free(graph->node);
	*graph = (struct ga_graph){0};
}

static bool allocate(struct ga_graph *graph, size_t count)
{
	size_t cells = count ? count : 1;

	graph->count = count;
	graph->nvlink = calloc(cells, cells * sizeof *graph->nvlink);
	graph->ring = calloc(cells, cells * sizeof *graph->ring);
	graph->score = calloc(cells, cells * sizeof *graph->score);
	graph->node = calloc(cells, sizeof *graph->node);
	return graph->nvlink && graph->ring && graph->score && graph->node;
}

static void set_pair(const gpualloc_machine *machine, const size_t *places, const int32_t *rates,
		     size_t a, size_t b, struct ga_graph *graph)
{
	const struct ga_links *links = &machine->links;
	int count = ga_links_nvlinks(links, places[a], places[b]);
	int32_t rate = rates[a] < rates[b] ? rates[a] : rates[b];
	int32_t nvlink = rate * (count < 0 ? 0 : count < GA_NVLINKS_MAX ? count : GA_NVLINKS_MAX);
	int32_t pcie = ga_rate_pcie(ga_links_level(links, places[a], places[b]));
	size_t here = a * graph->count + b, there = b * graph->count + a;

	graph->nvlink[here] = graph->nvlink[there] = nvlink;
	graph->ring[here] = graph->ring[there] = nvlink > 0 ? GA_RATE_PCIE_MAX : pcie;
	graph->score[here] = graph->score[there] =
		(int32_t)ga_pair_score(machine, places[a], places[b]);
}

/* Numbers nodes in order of appearance. */
static void set_nodes(const gpualloc_machine *machine, const size_t *places, struct ga_graph *graph)
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

/*
 * Grows a maximum spanning tree. In the table of a tree, what a vertex has to any earlier one is
 * the slower of its edge into the spanning tree and of what its neighbour there has; by induction
 * it is enough to look at that one neighbour.
 */
static bool is_tree(const struct ga_graph *graph, size_t *order, size_t *near, bool *done)
{
	for (size_t step = 0; step < graph->count; step++) {
		size_t v = graph->count;

		for (size_t i = 0; i < graph->count; i++)
			if (!done[i] && (v == graph->count ||
					 (step > 0 && ga_graph_ring(graph, i, near[i]) >
							      ga_graph_ring(graph, v, near[v]))))
				v = i;
		for (size_t s = 0; s < step; s++) {
			int32_t edge = ga_graph_ring(graph, v, near[v]);
			int32_t onward = order[s] == near[v]
						 ? edge
						 : ga_graph_ring(graph, near[v], order[s]);

			if (ga_graph_ring(graph, v, order[s]) != (edge < onward ? edge : onward))
				return false;
		}
		order[step] = v;
		done[v] = true;
		for (size_t i = 0; i < graph->count; i++)
			if (!done[i] && (step == 0 || ga_graph_ring(graph, i, v) >
							      ga_graph_ring(graph, i, near[i])))
				near[i] = v;
	}
	return true;
}

static int find_tree(struct ga_graph *graph)
{
	ga_auto_free size_t *order = calloc(graph->count + 1, sizeof *order);
	ga_auto_free size_t *near = calloc(graph->count + 1, sizeof *near);
	ga_auto_free bool *done = calloc(graph->count + 1, sizeof *done);

	if (!order || !near || !done)
		return GPUALLOC_ENOMEM;
	graph->tree = is_tree(graph, order, near, done);
	return 0;
}

int ga_graph_init(const gpualloc_machine *machine, const size_t *places, size_t count,
		  struct ga_graph *ret_graph)
{
	ga_auto_graph struct ga_graph graph = {0};
	ga_auto_free int32_t *rates = calloc(count + 1, sizeof *rates);

	if (!rates || !allocate(&graph, count))
		return GPUALLOC_ENOMEM;
	for (size_t i = 0; i < count; i++)
		rates[i] = ga_rate_nvlink(&machine->devices[places[i]]);
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			set_pair(machine, places, rates, i, j, &graph);
	set_nodes(machine, places, &graph);
	if (find_tree(&graph) < 0)
		return GPUALLOC_ENOMEM;
	*ret_graph = graph;
	graph = (struct ga_graph){0};
	return 0;
}

bool ga_graph_twins(const struct ga_graph *graph, size_t a, size_t b)
{
	if (graph->node[a] != graph->node[b])
		return false;
	for (size_t i = 0; i < graph->count; i++) {
		if (i == a || i == b)
			continue;
		if (ga_graph_nvlink(graph, a, i) != ga_graph_nvlink(graph, b, i) ||
		    ga_graph_ring(graph, a, i) != ga_graph_ring(graph, b, i) ||
		    ga_graph_score(graph, a, i) != ga_graph_score(graph, b, i))
			return false;
	}
	return true;
}

int64_t ga_graph_sum(const struct ga_graph *graph, const size_t *set, size_t count)
{
	int64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			sum += ga_graph_score(graph, set[i], set[j]);
	return sum;
}

int64_t ga_graph_least_degree(const struct ga_graph *graph, const size_t *set, size_t count)
{
	int64_t least = INT64_MAX;

	for (size_t i = 0; i < count; i++) {
		int64_t degree = 0;

		for (size_t j = 0; j < count; j++) /* nothing on the diagonal */
			degree += ga_graph_nvlink(graph, set[i], set[j]);
		if (degree < least)
			least = degree;
	}
	return least;
}
