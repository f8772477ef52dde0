/* SPDX-License-Identifier: Apache-2.0 */
/* What a set of GPUs is worth to a program that spans it. */
#include "cleanup.h"
#include "graph.h"
#include "rates.h"

int64_t ga_graph_bandwidth(const struct ga_graph *graph, const size_t *set, size_t count,
			   int64_t floor)
{
	int64_t least_degree = ga_graph_least_degree(graph, set, count), cut = 0;

	if (least_degree > 0) {
		if (least_degree < floor && GA_RATE_PCIE_MAX < floor)
			return least_degree;
		cut = ga_graph_cut(graph, set, count, least_degree);
	}
	if (cut != 0 || GA_RATE_PCIE_MAX < floor)
		return cut;
	return ga_graph_bottleneck(graph, set, count, (int32_t)floor);
}

static int bandwidth_of(const gpualloc_machine *machine, const size_t *places, size_t count,
			int64_t *ret_bandwidth)
{
	ga_auto_graph struct ga_graph graph = {0};
	ga_auto_free size_t *all = calloc(count, sizeof *all);

	if (!all || ga_graph_init(machine, places, count, &graph) < 0)
		return GPUALLOC_ENOMEM;
	for (size_t i = 0; i < count; i++)
		all[i] = i;
	*ret_bandwidth = ga_graph_bandwidth(&graph, all, count, 0);
	return *ret_bandwidth < 0 ? GPUALLOC_ENOMEM : 0;
}

int64_t ga_set_bandwidth(const gpualloc_machine *machine, const size_t *places, size_t count)
{
	int64_t bandwidth = GA_UNKNOWN;
	int result;

	if (count < 2) /* nobody to talk to */
		return GA_UNKNOWN;
	result = bandwidth_of(machine, places, count, &bandwidth);
	return result < 0 ? result : bandwidth;
}
