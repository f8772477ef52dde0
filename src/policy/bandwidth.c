/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bandwidth: the set on which a collective runs fastest now. Ties are decided by the highest sum of
 * pair scores, then the fewest NUMA nodes, then the fewest near neighbours taken from devices that
 * stay idle, then the order offered. Its value is in MB/s.
 */
#include "cleanup.h"
#include "field.h"

static int choose(const struct ga_question *question, struct ga_answer *ret_answer,
		  gpualloc_error *error)
{
	ga_auto_field struct ga_field field = {0};
	ga_auto_set_found struct ga_set_found found = {0};
	struct ga_bandwidth_value value;
	struct ga_set_search search = {
		.count = question->candidate_count,
		.want = question->want,
		.budget = question->budget,
	};

	if (ga_field_init(question, &field) < 0)
		return ga_error_memory(error);
	search.graph = &field.graph;
	search.vertices = field.vertices;
	search.required = field.required;
	search.idle = field.idle;
	search.loss = field.loss;
	if (ga_bandwidth_search(&search, &value) < 0 || ga_set_search_run(&search, &found) < 0)
		return ga_error_memory(error);
	*ret_answer = (struct ga_answer){
		.chosen = ga_steal(&found.set),
		.count = question->want,
		.value = question->want > 1 ? found.rank.value : GA_UNKNOWN,
		.bound = question->want > 1 ? found.bound : GA_UNKNOWN,
		.proven = found.proven,
		.transitions = found.steps,
	};
	return 0;
}

const struct ga_policy ga_policy_bandwidth = {
	.name = "bandwidth",
	.description = "the highest predicted bandwidth among the devices chosen",
	.by_topology = true,
	.choose = choose,
};
