/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The global minimum cut of the links inside a set, by Stoer and Wagner. No ring and no tree that
 * reaches the whole set can carry more than the links across its weakest cut. By Edmonds' theorem,
 * broadcasts can be packed until these links are used up. So the minimum cut, and not a sum, is the
 * value of a set.
 */
#include "graph.h"

#include "cleanup.h"
#include "error.h"

#include <string.h>

enum { FEW = 6, SMALL = 16 };

/* A copy of the set's links. Merging vertices overwrites it. */
struct contraction {
	size_t count;
	size_t stride;
	int64_t *weight;
	int64_t *pull; /* for each vertex that is not visited yet, its links to the visited ones */
};

static int64_t *row(const struct contraction *c, size_t i)
{
	return c->weight + i * c->stride;
}

static void load(const struct ga_set_graph *graph, const size_t *set, struct contraction *c)
{
	for (size_t i = 0; i < c->count; i++)
		for (size_t j = 0; j < c->count; j++)
			row(c, i)[j] = ga_set_graph_link(graph, set[i], set[j]);
}

static void swap_vertices(struct contraction *c, size_t a, size_t b)
{
	int64_t held;

	if (a == b)
		return;
	for (size_t i = 0; i < c->count; i++) {
		held = row(c, a)[i];
		row(c, a)[i] = row(c, b)[i];
		row(c, b)[i] = held;
	}
	for (size_t i = 0; i < c->count; i++) {
		held = row(c, i)[a];
		row(c, i)[a] = row(c, i)[b];
		row(c, i)[b] = held;
	}
	held = c->pull[a];
	c->pull[a] = c->pull[b];
	c->pull[b] = held;
}

/*
 * One phase of the algorithm. It orders the vertices: the next one is always the one with the
 * strongest links to those before it. It returns the cut that isolates the last vertex, and merges
 * the last two.
 */
static int64_t phase(struct contraction *c)
{
	size_t last = c->count - 1;
	int64_t cut;

	for (size_t i = 0; i < c->count; i++)
		c->pull[i] = row(c, 0)[i];
	for (size_t at = 1; at < c->count; at++) {
		size_t next = at;

		for (size_t i = at + 1; i < c->count; i++)
			if (c->pull[i] > c->pull[next])
				next = i;
		swap_vertices(c, at, next);
		for (size_t i = at + 1; i < c->count; i++)
			c->pull[i] += row(c, at)[i];
	}
	cut = c->pull[last];
	for (size_t i = 0; i < last; i++) {
		row(c, last - 1)[i] += row(c, last)[i];
		row(c, i)[last - 1] = row(c, last - 1)[i];
	}
	row(c, last - 1)[last - 1] = 0;
	c->count--;
	return cut;
}

static int64_t contract(struct contraction *c, int64_t best)
{
	while (c->count > 1 && best > 0) {
		int64_t cut = phase(c);

		if (cut < best)
			best = cut;
	}
	return best;
}

/* A lower bound: every cut of a set of k vertices crosses at least k-1 pairs. */
static int64_t floor_by_pairs(const struct ga_set_graph *graph, const size_t *set, size_t count)
{
	int64_t least = INT64_MAX;

	for (size_t i = 0; i < count && least > 0; i++)
		for (size_t j = 0; j < i; j++)
			if (ga_set_graph_link(graph, set[i], set[j]) < least)
				least = ga_set_graph_link(graph, set[i], set[j]);
	return least * (int64_t)(count - 1);
}

static int64_t lesser(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/*
 * A cut of up to six vertices isolates one or two of them, or halves them. Trying all of these cuts
 * takes fewer steps than merging. The cut around a part is the sum of its vertices' links, less
 * twice the links inside the part.
 */
static int64_t cut_of_few(const struct ga_set_graph *graph, const size_t *set, size_t count,
			  int64_t best)
{
	int64_t links[FEW][FEW], all[FEW] = {0};

	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++) {
			links[i][j] = links[j][i] = ga_set_graph_link(graph, set[i], set[j]);
			all[i] += links[i][j];
			all[j] += links[i][j];
		}
	for (size_t i = 1; i < count; i++)
		for (size_t j = 0; j < i; j++) {
			int64_t pair = all[i] + all[j] - 2 * links[i][j];

			best = lesser(best, pair);
			if (count == FEW && j > 0) /* the half that contains vertex 0 */
				best = lesser(best,
					      pair + all[0] - 2 * (links[0][i] + links[0][j]));
		}
	return best;
}

/*
 * Whether the links leave the set in several pieces. Answers only if a word has a bit for every
 * vertex.
 */
static bool falls_apart(const struct ga_set_graph *graph, const size_t *set, size_t count)
{
	uint64_t left = 0, next;

	if (!graph->linked)
		return false;
	for (size_t i = 1; i < count; i++)
		left |= UINT64_C(1) << set[i];
	for (uint64_t reached = graph->linked[set[0]] & left; reached; reached = next & left) {
		next = reached & (reached - 1);
		left &= ~(reached & -reached);
		next |= graph->linked[__builtin_ctzll(reached)];
	}
	return left != 0;
}

int64_t ga_set_min_cut(const struct ga_set_graph *graph, const size_t *set, size_t count,
		       int64_t least_degree)
{
	int64_t small_weight[SMALL * SMALL], small_pull[SMALL];
	struct contraction c = {count, count, small_weight, small_pull};
	ga_auto_free int64_t *large = NULL;

	if (count <= 3 || floor_by_pairs(graph, set, count) == least_degree)
		/* with up to three vertices, every cut isolates one of them */
		return least_degree;
	if (count <= FEW)
		return cut_of_few(graph, set, count, least_degree);
	if (falls_apart(graph, set, count))
		return 0;
	if (count > SMALL) {
		large = calloc(count + 1, count * sizeof *large);
		if (!large)
			return GPUALLOC_ENOMEM;
		c.weight = large;
		c.pull = large + count * count;
	}
	load(graph, set, &c);
	return contract(&c, least_degree);
}
