/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bottleneck ring (the bottleneck travelling salesman problem): the greatest bandwidth that
 * some Hamiltonian cycle of a set has on every edge.
 *
 * If the table is that of a tree, the answer is the slowest pair: the set falls into two parts with
 * nothing faster between them, and the ring must cross from one to the other. Links across such
 * parts break the tree. Then we ask, for each of the few bandwidths, whether the pairs that are at
 * least as fast have a Hamiltonian cycle. The answer is exact for up to EXACT vertices (Held and
 * Karp's table of subsets). For larger sets the search may give up; it then returns the fastest
 * bandwidth that it has proven, and never less than that of the slowest pair, which every ring
 * reaches.
 */
#include "graph.h"

#include <string.h>

enum { EXACT = 15, MAX = GA_SET_NEAR_MAX };
/*
 * The steps before a search gives up: GLANCE if the exact table can decide afterwards, PATIENCE if
 * it cannot.
 */
enum { GLANCE = 64, PATIENCE = 4000 };

struct ring {
	const uint64_t *near; /* for each vertex, the vertices that it reaches fast enough */
	uint64_t all, start;  /* the set, and one vertex of it */
	size_t count;
	unsigned left; /* the steps that are left */
};

static bool has_bits(uint64_t bits, size_t least)
{
	for (size_t i = 1; i < least && bits; i++)
		bits &= bits - 1;
	return bits != 0;
}

/*
 * Considers the paths that begin at the last vertex, by the set that they cover: ends[S] holds the
 * vertices at which a path through S can end. The set has a ring if a path through all its vertices
 * ends at a neighbour of its start.
 */
static bool closes_exactly(const struct ring *ring)
{
	uint16_t ends[1U << (EXACT - 1)], near[EXACT] = {0};
	size_t start = ring->count - 1, vertex[EXACT], count = 0;
	unsigned all = (1U << start) - 1;

	for (uint64_t left = ring->all; left; left &= left - 1)
		vertex[count++] = (size_t)__builtin_ctzll(left);
	for (size_t v = 0; v < count; v++)
		for (size_t w = 0; w < count; w++)
			near[v] |= (uint16_t)((ring->near[vertex[v]] >> vertex[w] & 1) << w);
	memset(ends, 0, ((size_t)all + 1) * sizeof *ends);
	for (size_t v = 0; v < start; v++)
		if (near[start] >> v & 1)
			ends[1U << v] = (uint16_t)(1U << v);
	for (unsigned covered = 1; covered <= all; covered++)
		for (unsigned to = all & ~covered; ends[covered] && to; to &= to - 1) {
			unsigned v = (unsigned)__builtin_ctz(to);

			if (near[v] & ends[covered])
				ends[covered | 1U << v] |= (uint16_t)(1U << v);
		}
	return (ends[all] & near[start]) != 0;
}

/* Tries the neighbour with the fewest ways out first (Warnsdorff's rule). */
static bool closes(struct ring *ring, size_t at, uint64_t open)
{
	uint64_t next = ring->near[at] & open;

	if (open == 0)
		return (ring->near[at] & ring->start) != 0;
	while (next && ring->left > 0) {
		size_t best = MAX;
		int fewest = MAX + 1;

		for (uint64_t rest = next; rest; rest &= rest - 1) {
			size_t v = (size_t)__builtin_ctzll(rest);
			int ways = __builtin_popcountll(ring->near[v] & open);

			if (ways < fewest) {
				best = v;
				fewest = ways;
			}
		}
		ring->left--;
		next &= ~(UINT64_C(1) << best);
		if (closes(ring, best, open & ~(UINT64_C(1) << best)))
			return true;
	}
	return false;
}

static bool has_ring(struct ring *ring)
{
	/* every vertex neighbours at least half of the set; then there is a ring */
	bool dirac = true;

	for (uint64_t left = ring->all; left; left &= left - 1) {
		uint64_t near = ring->near[__builtin_ctzll(left)] & ring->all;

		if (!has_bits(near, 2))
			return false;
		dirac = dirac && has_bits(near, (ring->count + 1) / 2);
	}
	if (dirac)
		return true;
	ring->start = ring->all & -ring->all;
	ring->left = ring->count <= EXACT ? GLANCE : PATIENCE;
	if (closes(ring, (size_t)__builtin_ctzll(ring->all), ring->all & ~ring->start))
		return true;
	return ring->left == 0 && ring->count <= EXACT && closes_exactly(ring);
}

static int32_t slowest_pair(const struct ga_set_graph *graph, const size_t *set, size_t count)
{
	int32_t slowest = INT32_MAX;

	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			if (ga_set_graph_ring(graph, set[i], set[j]) < slowest)
				slowest = ga_set_graph_ring(graph, set[i], set[j]);
	return slowest;
}

/*
 * The neighbours at this rate. The vertices of the set are renumbered if the graph has more of them
 * than fit in a word.
 */
static const uint64_t *near_of(const struct ga_set_graph *graph, const size_t *set, size_t count,
			       size_t rate, uint64_t *scratch)
{
	if (graph->near)
		return graph->near + rate * graph->count;
	memset(scratch, 0, count * sizeof *scratch);
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			if (ga_set_graph_ring(graph, set[i], set[j]) >= graph->rate[rate]) {
				scratch[i] |= UINT64_C(1) << j;
				scratch[j] |= UINT64_C(1) << i;
			}
	return scratch;
}

int32_t ga_set_bottleneck(const struct ga_set_graph *graph, const size_t *set, size_t count,
			  int32_t floor)
{
	return ga_set_bottleneck_from(graph, set, count, slowest_pair(graph, set, count), floor);
}

int32_t ga_set_bottleneck_from(const struct ga_set_graph *graph, const size_t *set, size_t count,
			       int32_t reached, int32_t floor)
{
	struct ring ring = {.count = count};
	uint64_t scratch[MAX];

	if (graph->tree || count <= 2 || count > MAX)
		return reached;
	for (size_t i = 0; i < count; i++)
		ring.all |= UINT64_C(1) << (graph->near ? set[i] : i);
	for (size_t rate = 0; rate < graph->rate_count; rate++) {
		if (graph->rate[rate] <= reached || graph->rate[rate] < floor)
			continue; /* this rate cannot change the answer */
		ring.near = near_of(graph, set, count, rate, scratch);
		if (!has_ring(&ring))
			return reached;
		reached = graph->rate[rate];
	}
	return reached;
}
