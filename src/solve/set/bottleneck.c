/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bottleneck ring (the bottleneck travelling salesman problem): the greatest bandwidth that
 * some Hamiltonian cycle of a set has on every edge.
 *
 * Where the table is that of a tree it is the slowest pair: a set falls apart into two parts with
 * nothing faster between them, and the ring must cross. Links across such parts break the tree;
 * then it is asked, for each of the few bandwidths there are, whether the faster pairs have a
 * Hamiltonian cycle. That is exact up to EXACT vertices (Held and Karp's table of subsets); beyond,
 * a search that gives up answers with the slowest pair, which is always reached.
 */
#include "graph.h"

#include <string.h>

enum { EXACT = 15, MAX = 64 };
/* Steps that a search takes before it gives up: where the table can decide, and where not. */
enum { GLANCE = 64, PATIENCE = 4000 };

struct ring {
	size_t count;
	uint64_t near[MAX]; /* of each: those that it reaches fast enough */
	unsigned left;      /* steps */
};

static void set_near(const struct ga_set_graph *graph, const size_t *set, int32_t rate,
		     struct ring *ring)
{
	memset(ring->near, 0, ring->count * sizeof *ring->near);
	for (size_t i = 0; i < ring->count; i++)
		for (size_t j = 0; j < i; j++)
			if (ga_set_graph_ring(graph, set[i], set[j]) >= rate) {
				ring->near[i] |= UINT64_C(1) << j;
				ring->near[j] |= UINT64_C(1) << i;
			}
}

static unsigned least_degree(const struct ring *ring)
{
	unsigned least = MAX;

	for (size_t i = 0; i < ring->count; i++) {
		unsigned degree = (unsigned)__builtin_popcountll(ring->near[i]);

		if (degree < least)
			least = degree;
	}
	return least;
}

/*
 * Paths from the last vertex, by the set they cover: ends[S] are the vertices that such a path
 * through S can end in. A ring is a path through all that ends beside its start.
 */
static bool closes_exactly(const struct ring *ring)
{
	uint16_t ends[1U << (EXACT - 1)];
	size_t start = ring->count - 1;
	unsigned all = (1U << start) - 1;

	memset(ends, 0, ((size_t)all + 1) * sizeof *ends);
	for (size_t v = 0; v < start; v++)
		if (ring->near[start] >> v & 1)
			ends[1U << v] = (uint16_t)(1U << v);
	for (unsigned covered = 1; covered <= all; covered++)
		for (unsigned to = all & ~covered; ends[covered] && to; to &= to - 1) {
			unsigned v = (unsigned)__builtin_ctz(to);

			if (ring->near[v] & ends[covered])
				ends[covered | 1U << v] |= (uint16_t)(1U << v);
		}
	return (ends[all] & ring->near[start]) != 0;
}

/* Goes on to the neighbour that has the fewest ways out, before it has none. */
static bool closes(struct ring *ring, size_t at, uint64_t open)
{
	uint64_t next = ring->near[at] & open;

	if (open == 0)
		return ring->near[at] & 1;
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
	unsigned degree = least_degree(ring);
	uint64_t all = ring->count < MAX ? (UINT64_C(1) << ring->count) - 1 : UINT64_MAX;

	if (degree < 2)
		return false;
	if (2 * (size_t)degree >= ring->count) /* Dirac's theorem */
		return true;
	ring->left = ring->count <= EXACT ? GLANCE : PATIENCE;
	if (closes(ring, 0, all & ~UINT64_C(1)))
		return true;
	return ring->left == 0 && ring->count <= EXACT && closes_exactly(ring);
}

/* Which bandwidths the pairs have: bit n for n units. */
static uint32_t rates_of(const struct ga_set_graph *graph, const size_t *set, size_t count)
{
	uint32_t rates = 0;

	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			rates |= 1U << ga_set_graph_ring(graph, set[i], set[j]) / GA_SET_RING_UNIT;
	return rates;
}

int32_t ga_set_bottleneck(const struct ga_set_graph *graph, const size_t *set, size_t count,
			  int32_t floor)
{
	uint32_t rates = rates_of(graph, set, count);
	int32_t reached = __builtin_ctz(rates) * GA_SET_RING_UNIT;
	struct ring ring = {.count = count};

	if (graph->tree || count <= 2 || count > MAX)
		return reached;
	while (rates &= rates - 1) {
		int32_t next = __builtin_ctz(rates) * GA_SET_RING_UNIT;

		if (next < floor) /* whether it is reached does not matter */
			continue;
		set_near(graph, set, next, &ring);
		if (!has_ring(&ring))
			return reached;
		reached = next;
	}
	return reached;
}
