/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the jobs to come could still have. On small machines a table answers for every set that
 * remains: the lag of each set of a size, then the least among all parts of each larger set, one
 * vertex after the other. On large ones a set is grown.
 */
#include "balance.h"
#include "cleanup.h"

#include <string.h>

enum { HALF = GA_TABLE_MAX / 2, HALVES = 1 << HALF };

struct filling {
	const struct ga_balance *balance;
	/* NVLinks of each vertex with the vertices of each half set, below HALF and above. */
	int64_t (*links)[2][HALVES];
	int32_t *lags; /* of the size at hand, by set; at first bandwidths, 0 for other sizes */
	int32_t most;
};

/* Only half sets that there are: of 8 vertices or less, the upper half has but the empty one. */
static void fill_half(const struct ga_set_graph *graph, size_t v, size_t first, int64_t *links)
{
	size_t vertices = graph->count > first ? graph->count - first : 0;
	uint32_t masks = 1U << (vertices < HALF ? vertices : HALF);

	links[0] = 0;
	for (uint32_t mask = 1; mask < masks; mask++)
		links[mask] = links[mask & (mask - 1)] +
			      ga_set_graph_link(graph, v, first + (size_t)__builtin_ctz(mask));
}

static void fill_links(const struct ga_set_graph *graph, int64_t (*links)[2][HALVES])
{
	for (size_t v = 0; v < graph->count; v++)
		for (size_t half = 0; half < 2; half++)
			fill_half(graph, v, half * HALF, links[v][half]);
}

/* Lists the set and finds the least that joins one of it to the rest, as a sum of two. */
static int64_t list(const struct filling *filling, uint32_t mask, size_t *set)
{
	int64_t least = INT64_MAX;
	size_t count = 0;

	for (uint32_t left = mask; left; left &= left - 1) {
		size_t v = (size_t)__builtin_ctz(left);
		int64_t degree =
			filling->links[v][0][mask % HALVES] + filling->links[v][1][mask / HALVES];

		set[count++] = v;
		if (degree < least)
			least = degree;
	}
	return least;
}

static void fill_set(struct filling *filling, size_t size, uint32_t mask)
{
	const struct ga_set_graph *graph = filling->balance->graph;
	size_t set[GA_LATER_LAST];
	int64_t least = list(filling, mask, set);
	int64_t bandwidth = least > 0 ? ga_set_min_cut(graph, set, size, least) : 0;

	if (bandwidth == 0)
		bandwidth = ga_set_ring(graph, set, size, 0);
	filling->lags[mask] = (int32_t)bandwidth; /* 15 pairs of 1024 links at most */
	if (filling->lags[mask] > filling->most)
		filling->most = filling->lags[mask];
}

/* Bandwidths become lags; there are few different ones, and dividing is slow. */
static void turn_into_lags(int32_t *lags, size_t sets, int64_t ideal, int32_t impossible)
{
	int32_t last_bandwidth = 0, last = impossible;

	for (size_t i = 0; i < sets; i++) {
		if (lags[i] != 0 && lags[i] != last_bandwidth) {
			last_bandwidth = lags[i];
			last = ga_balance_lag(ideal, last_bandwidth);
		}
		lags[i] = lags[i] != 0 ? last : impossible;
	}
}

/* The next larger number with as many bits. */
static uint32_t next_of_size(uint32_t mask)
{
	uint32_t low = mask & -mask, carried = mask + low;

	return carried | (mask ^ carried) >> 2 >> __builtin_ctz(mask);
}

static void take_less(const int32_t *restrict from, int32_t *restrict to, size_t count)
{
	enum { BLOCK = 8 }; /* of a constant size the compiler makes vectors */
	size_t i = 0;

	for (; i + BLOCK <= count; i += BLOCK)
		for (size_t j = 0; j < BLOCK; j++)
			to[i + j] = from[i + j] < to[i + j] ? from[i + j] : to[i + j];
	for (; i < count; i++)
		to[i] = from[i] < to[i] ? from[i] : to[i];
}

/* Each set takes over what the set without one vertex has. */
static void spread(int32_t *lags, size_t vertices)
{
	size_t sets = (size_t)1 << vertices;

	for (size_t bit = 1; bit < sets; bit <<= 1)
		for (size_t base = 0; base < sets; base += 2 * bit)
			take_less(lags + base, lags + base + bit, bit);
}

static void fill_size(struct filling *filling, struct ga_balance *balance, size_t size)
{
	size_t sets = (size_t)1 << balance->graph->count;

	filling->lags = balance->table + (size - GA_LATER_FIRST) * sets;
	filling->most = 0;
	for (uint32_t mask = (1U << size) - 1; mask < sets; mask = next_of_size(mask))
		if ((mask & ~balance->idle_mask) == 0)
			fill_set(filling, size, mask);
	if (balance->ideal[size] == 0)
		balance->ideal[size] = filling->most;
	turn_into_lags(filling->lags, sets, balance->ideal[size],
		       ga_balance_lag_impossible(balance, size));
	spread(filling->lags, balance->graph->count);
}

int ga_balance_fill_table(struct ga_balance *balance)
{
	/* Not calloc(): what is read is written before, and the rest is most of it. */
	ga_auto_free int64_t(*links)[2][HALVES] =
		malloc((balance->graph->count + 1) * sizeof *links);
	struct filling filling = {.balance = balance, .links = links};

	if (!links)
		return GPUALLOC_ENOMEM;
	fill_links(balance->graph, links);
	for (size_t size = GA_LATER_FIRST; size <= balance->later_last; size++)
		fill_size(&filling, balance, size);
	return 0;
}

/* Adds the vertex that the pair scores tie most to those taken. */
static size_t next_vertex(const struct ga_balance *balance, const size_t *rest, size_t count)
{
	size_t best = count;

	for (size_t i = 0; i < count; i++)
		if (!balance->taken[i] &&
		    (best == count || balance->links[i] > balance->links[best]))
			best = i;
	for (size_t i = 0; i < count; i++)
		balance->links[i] += ga_set_graph_score(balance->graph, rest[best], rest[i]);
	balance->taken[best] = true;
	return best;
}

int64_t ga_balance_estimate(struct ga_balance *balance, const size_t *rest, size_t count,
			    size_t size)
{
	enum { SEEDS = 8 };
	size_t step = count > SEEDS ? count / SEEDS : 1;
	int64_t most = 0;

	for (size_t seed = 0; seed < count && most < balance->ideal[size]; seed += step) {
		size_t set[GA_LATER_LAST];
		int64_t bandwidth;

		memset(balance->links, 0, count * sizeof *balance->links);
		memset(balance->taken, 0, count * sizeof *balance->taken);
		balance->links[seed] = 1; /* before the others at first */
		for (size_t i = 0; i < size; i++)
			set[i] = rest[next_vertex(balance, rest, count)];
		bandwidth = ga_set_bandwidth(balance->graph, set, size, most + 1);
		if (bandwidth < 0 || bandwidth > most)
			most = bandwidth;
		if (most < 0)
			break;
	}
	return most;
}
