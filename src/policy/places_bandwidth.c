/* SPDX-License-Identifier: Apache-2.0 */
/* What a set of GPUs is worth to a program that spans it. */
#include "cleanup.h"
#include "machine_graph.h"
#include "policy.h"

static int bandwidth_of(const gpualloc_machine *machine, const size_t *places, size_t count,
			int64_t *ret_bandwidth)
{
	ga_auto_set_graph struct ga_set_graph graph = {0};
	ga_auto_free size_t *all = calloc(count, sizeof *all);

	if (!all || ga_graph_of_machine(machine, places, count, &graph) < 0)
		return GPUALLOC_ENOMEM;
	for (size_t i = 0; i < count; i++)
		all[i] = i;
	*ret_bandwidth = ga_set_bandwidth(&graph, all, count, 0);
	return *ret_bandwidth < 0 ? GPUALLOC_ENOMEM : 0;
}

int64_t ga_places_bandwidth(const gpualloc_machine *machine, const size_t *places, size_t count)
{
	int64_t bandwidth = GA_UNKNOWN;
	int result;

	if (count < 2) /* nobody to talk to */
		return GA_UNKNOWN;
	result = bandwidth_of(machine, places, count, &bandwidth);
	return result < 0 ? result : bandwidth;
}
