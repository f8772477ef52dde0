/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local search, used when there are too many sets to try them all. It starts from the sets of
 * highest pair scores in parts of the machine. While the bound is not reached, it also grows one
 * set from each kind of vertex, and always adds the vertex that links best to the set. Each set is
 * improved by swapping one vertex for another until no swap helps. A set that reaches the bound is
 * proven, and after that only ties are improved.
 */
#include "cleanup.h"
#include "error.h"
#include "tree.h"

#include <string.h>

enum { SEEDS = 48 };

struct state {
	const struct ga_set_search *search;
	const struct ga_set_plan *plan;
	uint64_t budget;
	uint64_t steps;
	size_t size;    /* of the set so far */
	size_t *at;     /* the positions in the set */
	bool *taken;    /* for each position, whether it is in the set */
	int64_t *links; /* for each position: the sums of its links and scores with the set */
	int64_t *scores;
	size_t *uses;    /* for each NUMA node, how many members are on it */
	size_t *scratch; /* the set as vertices, not positions */
	size_t *best;    /* the positions of the best start */
	struct ga_set_rank best_rank;
	struct ga_set_rank rank;
};

static size_t vertex(const struct state *state, size_t position)
{
	return state->search->vertices[position];
}

static int64_t loss(const struct state *state, size_t position)
{
	return state->search->loss[vertex(state, position)];
}

static size_t *uses(const struct state *state, size_t position)
{
	return &state->uses[state->search->graph->node[vertex(state, position)]];
}

/* Updates all sums with the set when a position joins it (sign 1) or leaves it (sign -1). */
static void shift(struct state *state, size_t position, int sign)
{
	const struct ga_set_graph *graph = state->search->graph;
	size_t v = vertex(state, position);

	for (size_t p = 0; p < state->search->count; p++) {
		state->links[p] += sign * (int64_t)ga_set_graph_link(graph, v, vertex(state, p));
		if (p != position)
			state->scores[p] +=
				sign * (int64_t)ga_set_graph_score(graph, v, vertex(state, p));
	}
	state->rank.loss += sign * state->search->loss[v];
	state->steps += state->search->count;
}

static void join(struct state *state, size_t position, size_t slot)
{
	state->rank.sum += state->scores[position];
	state->rank.nodes += (*uses(state, position))++ == 0;
	state->at[slot] = position;
	state->taken[position] = true;
	shift(state, position, 1);
}

static void leave(struct state *state, size_t position)
{
	state->taken[position] = false;
	shift(state, position, -1);
	state->rank.sum -= state->scores[position];
	state->rank.nodes -= --(*uses(state, position)) == 0;
}

static void empty(struct state *state)
{
	while (state->size > 0)
		leave(state, state->at[--state->size]);
	state->rank = (struct ga_set_rank){0};
}

/* Whether a is better than b to add to the set. */
static bool suits_better(const struct state *state, size_t a, size_t b)
{
	bool a_here = *uses(state, a) > 0, b_here = *uses(state, b) > 0;

	if (state->links[a] != state->links[b])
		return state->links[a] > state->links[b];
	if (state->scores[a] != state->scores[b])
		return state->scores[a] > state->scores[b];
	if (a_here != b_here)
		return a_here;
	return loss(state, a) < loss(state, b);
}

static void grow(struct state *state, size_t seed)
{
	const struct ga_set_search *search = state->search;

	empty(state);
	for (size_t p = 0; p < search->count; p++)
		if (search->required[vertex(state, p)])
			join(state, p, state->size++);
	if (!state->taken[seed] && state->size < search->want)
		join(state, seed, state->size++);
	while (state->size < search->want) {
		size_t best = GA_SET_NONE;

		for (size_t p = 0; p < search->count; p++)
			if (!state->taken[p] &&
			    (best == GA_SET_NONE || suits_better(state, p, best)))
				best = p;
		state->steps += search->count;
		join(state, best, state->size++);
	}
}

static int64_t value(struct state *state, size_t without, size_t with, int64_t floor)
{
	size_t size = 0;

	for (size_t i = 0; i < state->size; i++)
		state->scratch[size++] =
			vertex(state, state->at[i] == without ? with : state->at[i]);
	state->steps += state->search->cost;
	return state->search->value(state->search->context, state->scratch, floor);
}

static struct ga_set_rank exchanged(const struct state *state, size_t out, size_t in)
{
	const struct ga_set_graph *graph = state->search->graph;
	struct ga_set_rank rank = state->rank;
	size_t *out_uses = uses(state, out), *in_uses = uses(state, in);

	rank.sum += state->scores[in] - state->scores[out] -
		    ga_set_graph_score(graph, vertex(state, out), vertex(state, in));
	rank.loss += loss(state, in) - loss(state, out);
	if (out_uses != in_uses)
		rank.nodes = rank.nodes + (*in_uses == 0) - (*out_uses == 1);
	return rank;
}

/* Returns 1 if the swap made the set better and was kept. */
static int try_exchange(struct state *state, size_t slot, size_t in)
{
	size_t out = state->at[slot];
	struct ga_set_rank rank = exchanged(state, out, in);
	bool better = ga_set_rank_better(&rank, &state->rank) && !state->search->value_alone;
	int64_t floor = better ? state->rank.value : state->rank.value + 1;

	state->steps++;
	if (floor > state->search->bound)
		return 0;
	rank.value = value(state, out, in, floor);
	if (rank.value < 0)
		return (int)rank.value;
	if (rank.value < floor)
		return 0;
	leave(state, out);
	join(state, in, slot);
	state->rank.value = rank.value;
	return 1;
}

static int improve_once(struct state *state)
{
	for (size_t slot = 0; slot < state->size; slot++) {
		if (state->search->required[vertex(state, state->at[slot])])
			continue;
		for (size_t in = 0; in < state->search->count; in++) {
			size_t twin = state->plan->twin[in];
			int result;

			if (state->taken[in] || state->steps > state->budget)
				continue;
			if (twin != GA_SET_NONE && !state->taken[twin])
				continue;
			result = try_exchange(state, slot, in);
			if (result != 0)
				return result;
		}
	}
	return 0;
}

static bool finished(const struct state *state)
{
	return state->search->value_alone && state->rank.value >= state->search->bound;
}

static int improve(struct state *state)
{
	int result = 1;

	while (result > 0 && !finished(state))
		result = improve_once(state);
	return result;
}

static void keep_if_best(struct state *state)
{
	if (!ga_set_rank_better(&state->rank, &state->best_rank))
		return;
	state->best_rank = state->rank;
	memcpy(state->best, state->at, state->size * sizeof *state->at);
}

/* Improves the current set by swaps until no swap helps. */
static int climb(struct state *state)
{
	int result = 0;

	state->rank.value = value(state, GA_SET_NONE, 0, 0);
	if (state->rank.value < 0)
		return (int)state->rank.value;
	result = improve(state);
	if (result == 0)
		keep_if_best(state);
	return result;
}

static void load(struct state *state, const size_t *positions)
{
	empty(state);
	for (size_t i = 0; i < state->search->want; i++)
		join(state, positions[i], state->size++);
}

static int climb_from(void *context, const size_t *positions)
{
	struct state *state = context;

	load(state, positions);
	return climb(state);
}

/* Starts from every kind of vertex, until the budget is used up or the bound is reached. */
static int climb_from_all(struct state *state)
{
	size_t seeds = 0;
	int result = 0;

	for (size_t p = 0; p < state->search->count && seeds < SEEDS && result == 0; p++) {
		if (state->best_rank.value >= state->search->bound ||
		    (state->best_rank.value >= 0 && state->steps > state->budget))
			break;
		if (state->plan->twin[p] != GA_SET_NONE)
			continue;
		seeds++;
		grow(state, p);
		result = climb(state);
	}
	return result;
}

static int find(struct state *state)
{
	int result = 0;

	state->best_rank.value = -1;
	if (state->search->count <= GA_SET_TREE_MAX)
		result = ga_set_tree(state->search, state->plan, climb_from, state);
	return result < 0 ? result : climb_from_all(state);
}

static int compare_positions(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return (x > y) - (x < y);
}

static int run(struct state *state, struct ga_set_found *found)
{
	size_t want = state->search->want;
	int result = find(state);

	if (result < 0)
		return result;
	qsort(state->best, want, sizeof *state->best, compare_positions);
	for (size_t i = 0; i < want; i++)
		found->set[i] = vertex(state, state->best[i]);
	found->rank = state->best_rank;
	found->steps += state->steps;
	return 0;
}

int ga_set_local_search(const struct ga_set_search *search, const struct ga_set_plan *plan,
			uint64_t budget, struct ga_set_found *found)
{
	size_t count = search->count;
	ga_auto_free size_t *at = calloc(count + 1, sizeof *at);
	ga_auto_free bool *taken = calloc(count + 1, sizeof *taken);
	ga_auto_free int64_t *links = calloc(count + 1, sizeof *links);
	ga_auto_free int64_t *scores = calloc(count + 1, sizeof *scores);
	ga_auto_free size_t *node_uses = calloc(plan->node_count + 1, sizeof *node_uses);
	ga_auto_free size_t *scratch = calloc(2 * search->want + 1, sizeof *scratch);
	struct state state = {
		.search = search,
		.plan = plan,
		.budget = budget,
		.at = at,
		.taken = taken,
		.links = links,
		.scores = scores,
		.uses = node_uses,
		.scratch = scratch,
	};

	if (!at || !taken || !links || !scores || !node_uses || !scratch)
		return GPUALLOC_ENOMEM;
	state.best = scratch + search->want;
	return run(&state, found);
}
