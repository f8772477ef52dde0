/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of weights; see graph.h. */
#include "graph.h"

#include "cleanup.h"
#include "error.h"

#include <string.h>

void ga_set_graph_free(struct ga_set_graph *graph)
{
	free(graph->tables);
	free(graph->near);
	*graph = (struct ga_set_graph){0};
}

int ga_set_graph_init(struct ga_set_graph *graph, size_t count)
{
	size_t cells = count * count, words = count <= GA_SET_NEAR_MAX ? count : 0;
	size_t room = 3 * cells + (1 + GA_SET_UPLINK_KINDS) * count + 1;

	*graph = (struct ga_set_graph){.count = count};
	graph->tables = calloc(words * sizeof *graph->linked + room * sizeof *graph->link, 1);
	if (!graph->tables)
		return GPUALLOC_ENOMEM;
	graph->linked = words > 0 ? graph->tables : NULL;
	graph->link = (int32_t *)(void *)(graph->tables + words);
	graph->ring = graph->link + cells;
	graph->score = graph->ring + cells;
	graph->node = graph->score + cells;
	for (size_t kind = 0; kind < GA_SET_UPLINK_KINDS; kind++)
		graph->below[kind] = graph->node + (1 + kind) * count;
	return 0;
}

void ga_set_graph_pair(struct ga_set_graph *graph, size_t a, size_t b, int32_t link, int32_t ring,
		       int32_t score)
{
	size_t here = a * graph->count + b, there = b * graph->count + a;

	graph->link[here] = graph->link[there] = link;
	graph->ring[here] = graph->ring[there] = ring;
	graph->score[here] = graph->score[there] = score;
	graph->shared |= ring == 0;
	if (link > 0 && graph->linked) {
		graph->linked[a] |= UINT64_C(1) << b;
		graph->linked[b] |= UINT64_C(1) << a;
	}
}

/*
 * Grows a maximum spanning tree. In the table of a tree, the bandwidth from a vertex to any earlier
 * vertex is the slower of two: the vertex's edge into the spanning tree, and the bandwidth from the
 * neighbour at the other end of that edge. By induction it is enough to look at that one neighbour.
 */
static bool is_tree(const struct ga_set_graph *graph, size_t *order, size_t *near, bool *done)
{
	for (size_t step = 0; step < graph->count; step++) {
		size_t v = graph->count;

		for (size_t i = 0; i < graph->count; i++)
			if (!done[i] &&
			    (v == graph->count ||
			     (step > 0 && ga_set_graph_ring(graph, i, near[i]) >
						  ga_set_graph_ring(graph, v, near[v]))))
				v = i;
		for (size_t s = 0; s < step; s++) {
			int32_t edge = ga_set_graph_ring(graph, v, near[v]);
			int32_t onward = order[s] == near[v]
						 ? edge
						 : ga_set_graph_ring(graph, near[v], order[s]);

			if (ga_set_graph_ring(graph, v, order[s]) !=
			    (edge < onward ? edge : onward))
				return false;
		}
		order[step] = v;
		done[v] = true;
		for (size_t i = 0; i < graph->count; i++)
			if (!done[i] && (step == 0 || ga_set_graph_ring(graph, i, v) >
							      ga_set_graph_ring(graph, i, near[i])))
				near[i] = v;
	}
	return true;
}

/*
 * Keeps the rates sorted. Rates for which there is no room are left out, which can only make a
 * bottleneck appear too slow.
 */
static void add_rate(struct ga_set_graph *graph, int32_t rate)
{
	size_t at = graph->rate_count;

	while (at > 0 && graph->rate[at - 1] > rate)
		at--;
	if (graph->rate_count == GA_SET_RATES_MAX || (at > 0 && graph->rate[at - 1] == rate))
		return;
	memmove(graph->rate + at + 1, graph->rate + at,
		(graph->rate_count - at) * sizeof *graph->rate);
	graph->rate[at] = rate;
	graph->rate_count++;
}

static void find_near(struct ga_set_graph *graph)
{
	for (size_t rate = 0; rate < graph->rate_count; rate++)
		for (size_t a = 0; a < graph->count; a++)
			for (size_t b = 0; b < graph->count; b++)
				if (a != b && ga_set_graph_ring(graph, a, b) >= graph->rate[rate])
					graph->near[rate * graph->count + a] |= UINT64_C(1) << b;
}

static int find_tree(struct ga_set_graph *graph)
{
	enum { FEW = 16 };
	size_t few[2 * FEW];
	bool few_done[FEW] = {0};
	ga_auto_free size_t *many = NULL;
	ga_auto_free bool *many_done = NULL;

	if (graph->count <= FEW) {
		graph->tree = is_tree(graph, few, few + FEW, few_done);
		return 0;
	}
	many = calloc(2 * graph->count, sizeof *many);
	many_done = calloc(graph->count, sizeof *many_done);
	if (!many || !many_done)
		return GPUALLOC_ENOMEM;
	graph->tree = is_tree(graph, many, many + graph->count, many_done);
	return 0;
}

static void list_rates(struct ga_set_graph *graph)
{
	for (size_t a = 0; a < graph->count; a++)
		for (size_t b = 0; b < a; b++) {
			int32_t ring = ga_set_graph_ring(graph, a, b);

			graph->ring_most = ring > graph->ring_most ? ring : graph->ring_most;
			if (!graph->tree && ring > 0)
				add_rate(graph, ring);
		}
	if (graph->shared && graph->own_uplink > graph->ring_most)
		graph->ring_most = graph->own_uplink;
}

int ga_set_graph_finish(struct ga_set_graph *graph)
{
	if (find_tree(graph) < 0)
		return GPUALLOC_ENOMEM;
	list_rates(graph);
	if (graph->tree || graph->count > GA_SET_NEAR_MAX)
		return 0;
	graph->near = calloc(graph->rate_count * graph->count + 1, sizeof *graph->near);
	if (!graph->near)
		return GPUALLOC_ENOMEM;
	find_near(graph);
	return 0;
}

int ga_set_graph_finish_briefly(struct ga_set_graph *graph)
{
	enum { FEW = 8 };

	if (graph->count > FEW)
		return ga_set_graph_finish(graph);
	list_rates(graph);
	return 0;
}

bool ga_set_graph_twins(const struct ga_set_graph *graph, size_t a, size_t b)
{
	if (graph->node[a] != graph->node[b])
		return false;
	for (size_t kind = 0; graph->shared && kind < GA_SET_UPLINK_KINDS; kind++)
		if (graph->below[kind][a] != graph->below[kind][b])
			return false;
	for (size_t i = 0; i < graph->count; i++) {
		if (i == a || i == b)
			continue;
		if (ga_set_graph_link(graph, a, i) != ga_set_graph_link(graph, b, i) ||
		    ga_set_graph_ring(graph, a, i) != ga_set_graph_ring(graph, b, i) ||
		    ga_set_graph_score(graph, a, i) != ga_set_graph_score(graph, b, i))
			return false;
	}
	return true;
}

int64_t ga_set_graph_sum(const struct ga_set_graph *graph, const size_t *set, size_t count)
{
	int64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			sum += ga_set_graph_score(graph, set[i], set[j]);
	return sum;
}

int64_t ga_set_least_degree(const struct ga_set_graph *graph, const size_t *set, size_t count)
{
	int64_t least = INT64_MAX;

	for (size_t i = 0; i < count; i++) {
		int64_t degree = 0;

		for (size_t j = 0; j < count; j++) /* the diagonal is 0 */
			degree += ga_set_graph_link(graph, set[i], set[j]);
		if (degree < least)
			least = degree;
	}
	return least;
}
