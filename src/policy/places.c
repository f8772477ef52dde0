/* SPDX-License-Identifier: Apache-2.0 */
/* What links make of a set of GPUs of a machine; see policy.h. */
#include "cleanup.h"
#include "machine_graph.h"
#include "policy.h"

int64_t ga_places_score(const gpualloc_machine *machine, const size_t *places, size_t count)
{
	int64_t score = 0;

	for (size_t i = 0; i < count; i++)
		for (size_t j = i + 1; j < count; j++)
			score += ga_pair_score(machine, places[i], places[j]);
	return score;
}

int ga_places_measure(const gpualloc_machine *machine, const size_t *places, size_t count,
		      struct ga_worth *ret_worth)
{
	enum { FEW = 16 };
	ga_auto_set_graph struct ga_set_graph graph = {0};
	ga_auto_free size_t *many = count > FEW ? calloc(count, sizeof *many) : NULL;
	size_t few[FEW], *all = count > FEW ? many : few;

	*ret_worth = (struct ga_worth){.bandwidth = GA_UNKNOWN};
	if (count < 2) /* nobody to talk to */
		return 0;
	if (!all || ga_graph_of_set(machine, places, count, &graph) < 0)
		return GPUALLOC_ENOMEM;
	for (size_t i = 0; i < count; i++)
		all[i] = i;
	ret_worth->fit = ga_set_graph_sum(&graph, all, count);
	ret_worth->score = graph.shared ? ga_places_score(machine, places, count) : ret_worth->fit;
	ret_worth->bandwidth = ga_set_bandwidth(&graph, all, count, 0);
	return ret_worth->bandwidth < 0 ? GPUALLOC_ENOMEM : 0;
}

int64_t ga_places_bandwidth(const gpualloc_machine *machine, const size_t *places, size_t count)
{
	struct ga_worth worth;

	return ga_places_measure(machine, places, count, &worth) < 0 ? GPUALLOC_ENOMEM
								     : worth.bandwidth;
}
