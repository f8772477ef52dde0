/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a ring from each start by the nearest-neighbour heuristic, and keeps the best; see graph.h.
 */
#include "graph.h"

#include <string.h>

/*
 * Walks from start, always on to the nearest vertex that is left. Of equally near ones it takes the
 * first.
 */
static int64_t walk(const struct ga_set_graph *graph, size_t start, size_t *at)
{
	int64_t sum = 0;

	for (size_t i = 0; i < graph->count; i++)
		at[i] = i;
	memmove(at + 1, at, start * sizeof *at);
	at[0] = start;
	for (size_t step = 1; step < graph->count; step++) {
		size_t best = step, vertex;

		for (size_t i = step + 1; i < graph->count; i++)
			if (ga_set_graph_score(graph, at[step - 1], at[i]) >
			    ga_set_graph_score(graph, at[step - 1], at[best]))
				best = i;
		vertex = at[best]; /* the vertices that are left stay in order */
		memmove(at + step + 1, at + step, (best - step) * sizeof *at);
		at[step] = vertex;
		sum += ga_set_graph_score(graph, at[step - 1], vertex);
	}
	return sum + ga_set_graph_score(graph, at[graph->count - 1], at[0]);
}

void ga_set_ring_order(const struct ga_set_graph *graph, size_t *scratch, size_t *ret_order)
{
	int64_t best = -1;

	for (size_t start = 0; start < graph->count; start++) {
		int64_t sum = walk(graph, start, scratch);

		if (sum > best) {
			best = sum;
			memcpy(ret_order, scratch, graph->count * sizeof *scratch);
		}
	}
}
