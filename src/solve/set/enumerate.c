/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tries every set in the order in which the vertices were offered. Sets that differ only in twins
 * are tried once. A set is skipped if it cannot have the links that it needs to match the best so
 * far. The first of the best sets is kept, so the order decides complete ties.
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
	bool *taken;       /* for each position, whether its vertex is in the set */
	size_t *node_uses; /* for each node, how many members are on it */
	/*
	 * The bandwidth over links that each member needs; without it the set is worse than the
	 * best so far. 0: links are not needed.
	 */
	int64_t need;
	bool by_links; /* whether need can become more than 0 */
	/*
	 * By depth, then by slot: what a member can still have, which is its links to the members
	 * and to the vertices that are still to come.
	 */
	int64_t *can_have;
	int64_t *ahead; /* for each position, the sum of the links to all later positions */
	struct ga_set_rank rank;
	bool any;
	bool done;
	int result;
};

/* What a set needs from links to be worth floor; 0 if a ring may be fast enough. */
static int64_t links_for(const struct ga_set_search *search, int64_t floor)
{
	int64_t need = search->links_for ? search->links_for(search->context, floor) : 0;

	return need > search->graph->ring_most ? need : 0;
}

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
	if (walk->by_links)
		walk->need = links_for(search, rank.value + search->value_alone);
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

static int64_t *can_have(const struct walk *walk)
{
	return walk->can_have + walk->depth * (walk->search->want + 1);
}

/*
 * Takes away the members' links to a vertex that is skipped. Returns whether all members can still
 * have what they need.
 */
static bool pass_over(const struct walk *walk, size_t position)
{
	const struct ga_set_graph *graph = walk->search->graph;
	const int32_t *links = graph->link + walk->search->vertices[position] * graph->count;
	int64_t *can = can_have(walk);
	bool enough = true;

	for (size_t i = 0; i < walk->depth; i++) {
		can[i] -= links[walk->set[i]];
		enough = enough && can[i] >= walk->need;
	}
	return enough;
}

/*
 * Sets what each member can have after v has joined. Returns whether v can have what it needs. The
 * other members lose nothing when v joins.
 */
static bool join_links(struct walk *walk, size_t position, size_t v)
{
	const int32_t *links = walk->search->graph->link + v * walk->search->graph->count;
	const int64_t *can = can_have(walk);
	int64_t *can_then = walk->can_have + (walk->depth + 1) * (walk->search->want + 1);
	int64_t own = walk->ahead[position];

	for (size_t i = 0; i < walk->depth; i++) {
		own += links[walk->set[i]];
		can_then[i] = can[i];
	}
	can_then[walk->depth] = own;
	return own >= walk->need;
}

static void visit(struct walk *walk, size_t from);

static void take(struct walk *walk, size_t position)
{
	const struct ga_set_graph *graph = walk->search->graph;
	size_t v = walk->search->vertices[position];
	const int32_t *scores = graph->score + v * graph->count;
	size_t *uses = &walk->node_uses[graph->node[v]];
	struct ga_set_rank before = walk->rank;

	if (walk->by_links && !join_links(walk, position, v))
		return;
	for (size_t i = 0; i < walk->depth; i++)
		walk->rank.sum += scores[walk->set[i]];
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
		if (walk->by_links && !pass_over(walk, p))
			return;
	}
}

static void sum_ahead(const struct ga_set_search *search, int64_t *ahead)
{
	for (size_t p = 0; p < search->count; p++)
		for (size_t q = p + 1; q < search->count; q++)
			ahead[p] += ga_set_graph_link(search->graph, search->vertices[p],
						      search->vertices[q]);
}

int ga_set_enumerate(const struct ga_set_search *search, const struct ga_set_plan *plan,
		     struct ga_set_found *found)
{
	ga_auto_free size_t *set = calloc(search->want + 1, sizeof *set);
	ga_auto_free bool *taken = calloc(search->count + 1, sizeof *taken);
	ga_auto_free size_t *uses = calloc(plan->node_count + 1, sizeof *uses);
	ga_auto_free int64_t *can = calloc(search->want + 2, (search->want + 1) * sizeof *can);
	ga_auto_free int64_t *ahead = calloc(search->count + 1, sizeof *ahead);
	struct walk walk = {
		.search = search,
		.plan = plan,
		.found = found,
		.set = set,
		.taken = taken,
		.node_uses = uses,
		.can_have = can,
		.ahead = ahead,
	};

	if (!set || !taken || !uses || !can || !ahead)
		return GPUALLOC_ENOMEM;
	walk.by_links = links_for(search, search->bound) > 0;
	if (walk.by_links)
		sum_ahead(search, ahead);
	visit(&walk, 0);
	return walk.result;
}
