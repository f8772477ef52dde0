/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prepares a search. Two vertices are twins if exchanging them changes nothing. Of twins, only
 * those offered first need to be tried, and the order of ties asks for the same. Because real
 * machines have many twins, few sets remain.
 */
#include "cleanup.h"
#include "error.h"
#include "search.h"

void ga_set_plan_free(struct ga_set_plan *plan)
{
	free(plan->twin);
	free(plan->required);
	*plan = (struct ga_set_plan){0};
}

static size_t twin_of(const struct ga_set_search *search, size_t position)
{
	size_t v = search->vertices[position];

	if (search->required[v])
		return GA_SET_NONE;
	for (size_t p = position; p-- > 0;) {
		size_t other = search->vertices[p];

		if (!search->required[other] && search->loss[other] == search->loss[v] &&
		    search->idle[other] == search->idle[v] &&
		    ga_set_graph_twins(search->graph, v, other))
			return p;
	}
	return GA_SET_NONE;
}

int ga_set_plan_init(const struct ga_set_search *search, struct ga_set_plan *ret_plan)
{
	size_t count = search->count;
	ga_auto_set_plan struct ga_set_plan plan = {
		.twin = calloc(count + 1, sizeof *plan.twin),
		.required = calloc(count + 1, sizeof *plan.required),
	};

	if (!plan.twin || !plan.required)
		return GPUALLOC_ENOMEM;
	for (size_t p = 0; p < count; p++) {
		size_t node = (size_t)search->graph->node[search->vertices[p]];

		plan.twin[p] = twin_of(search, p);
		if (node >= plan.node_count)
			plan.node_count = node + 1;
	}
	for (size_t p = count; p-- > 0;)
		plan.required[p] =
			plan.required[p + 1] + (search->required[search->vertices[p]] ? 1 : 0);
	plan.required_count = plan.required[0];
	*ret_plan = plan;
	plan = (struct ga_set_plan){0};
	return 0;
}

/* The size of the class of twins that begins at this position. */
static size_t class_size(const struct ga_set_search *search, const struct ga_set_plan *plan,
			 size_t first)
{
	size_t size = 1, last = first;

	for (size_t p = first + 1; p < search->count; p++)
		if (plan->twin[p] == last) {
			last = p;
			size++;
		}
	return size;
}

/*
 * A set may take any number of vertices from each class, up to the size of the class. So this
 * multiplies the polynomials 1 + x + … + x^size.
 */
int ga_set_plan_sets(const struct ga_set_search *search, const struct ga_set_plan *plan,
		     uint64_t limit, uint64_t *ret_sets)
{
	size_t free_places = search->want - plan->required_count;
	ga_auto_free uint64_t *ways = calloc(free_places + 1, sizeof *ways);

	if (!ways)
		return GPUALLOC_ENOMEM;
	ways[0] = 1;
	for (size_t p = 0; p < search->count; p++) {
		size_t size;

		if (search->required[search->vertices[p]] || plan->twin[p] != GA_SET_NONE)
			continue;
		size = class_size(search, plan, p);
		for (size_t k = free_places; k > 0; k--)
			for (size_t taken = 1; taken <= size && taken <= k; taken++) {
				ways[k] += ways[k - taken];
				if (ways[k] > limit)
					ways[k] = limit;
			}
	}
	*ret_sets = ways[free_places];
	return 0;
}
