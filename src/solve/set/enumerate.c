/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every set, in the order offered, twins once. The first of the best stays, so ties by everything
 * are decided by that order.
 */
#include "cleanup.h"
#include "error.h"
#include "search.h"

#include <string.h>

struct walk {
	const struct ga_set_search *search;
	const struct ga_set_plan *plan;
	struct ga_set_found *found;
	size_t depth;
	size_t *set;
	bool *taken;       /* by position */
	size_t *node_uses; /* by NUMA node */
	struct ga_set_rank rank;
	bool any;
	bool done;
	int result;
};

static void leaf(struct walk *walk)
{
	const struct ga_set_search *search = walk->search;
	struct ga_set_found *found = walk->found;
	struct ga_set_rank rank = walk->rank;
	int64_t floor = 0;

	if (walk->any) {
		rank.value = found->rank.value;
		floor = ga_set_rank_better(&rank, &found->rank) && !search->value_alone
				? rank.value
				: rank.value + 1;
		if (floor > search->bound)
			return;
	}
	rank.value = search->value(search->context, walk->set, floor);
	found->steps += search->cost;
	if (rank.value < 0) {
		walk->result = (int)rank.value;
		walk->done = true;
		return;
	}
	if (walk->any && rank.value < floor)
		return;
	walk->any = true;
	found->rank = rank;
	memcpy(found->set, walk->set, search->want * sizeof *walk->set);
	walk->done = search->value_alone && rank.value >= search->bound;
}

static bool may_take(const struct walk *walk, size_t position)
{
	const struct ga_set_plan *plan = walk->plan;
	size_t left = walk->search->want - walk->depth;

	if (walk->search->required[walk->search->vertices[position]])
		return true;
	return left > plan->required[position] &&
	       (plan->twin[position] == GA_SET_NONE || walk->taken[plan->twin[position]]);
}

static void visit(struct walk *walk, size_t from);

static void take(struct walk *walk, size_t position)
{
	const struct ga_set_graph *graph = walk->search->graph;
	size_t v = walk->search->vertices[position];
	size_t *uses = &walk->node_uses[graph->node[v]];
	struct ga_set_rank before = walk->rank;

	for (size_t i = 0; i < walk->depth; i++)
		walk->rank.sum += ga_set_graph_score(graph, v, walk->set[i]);
	walk->rank.nodes += (*uses)++ == 0;
	walk->rank.loss += walk->search->loss[v];
	walk->set[walk->depth++] = v;
	walk->taken[position] = true;
	visit(walk, position + 1);
	walk->taken[position] = false;
	walk->depth--;
	(*uses)--;
	walk->rank = before;
}

static void visit(struct walk *walk, size_t from)
{
	size_t left = walk->search->want - walk->depth;

	if (left == 0) {
		leaf(walk);
		return;
	}
	for (size_t p = from; p + left <= walk->search->count && !walk->done; p++) {
		if (may_take(walk, p))
			take(walk, p);
		if (walk->search->required[walk->search->vertices[p]])
			return;
	}
}

int ga_set_enumerate(const struct ga_set_search *search, const struct ga_set_plan *plan,
		     struct ga_set_found *found)
{
	ga_auto_free size_t *set = calloc(search->want + 1, sizeof *set);
	ga_auto_free bool *taken = calloc(search->count + 1, sizeof *taken);
	ga_auto_free size_t *uses = calloc(plan->node_count + 1, sizeof *uses);
	struct walk walk = {
		.search = search,
		.plan = plan,
		.found = found,
		.set = set,
		.taken = taken,
		.node_uses = uses,
	};

	if (!set || !taken || !uses)
		return GPUALLOC_ENOMEM;
	visit(&walk, 0);
	return walk.result;
}
