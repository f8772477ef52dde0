/* SPDX-License-Identifier: Apache-2.0 */
/* The bandwidth that a program gets from a set if it uses all of it; see graph.h. */
#include "graph.h"

int64_t ga_set_ring(const struct ga_set_graph *graph, const size_t *set, size_t count,
		    int64_t floor)
{
	return graph->shared ? ga_set_over_uplinks(graph, set, count)
			     : ga_set_bottleneck(graph, set, count, (int32_t)floor);
}

int64_t ga_set_bandwidth(const struct ga_set_graph *graph, const size_t *set, size_t count,
			 int64_t floor)
{
	int64_t least_degree = ga_set_least_degree(graph, set, count), cut = 0;

	if (least_degree > 0) {
		if (least_degree < floor && graph->ring_most < floor)
			return least_degree;
		cut = ga_set_min_cut(graph, set, count, least_degree);
	}
	if (cut != 0 || graph->ring_most < floor)
		return cut;
	return ga_set_ring(graph, set, count, floor);
}
