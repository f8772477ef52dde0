/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the jobs to come could still have. On small machines a table answers for every set that
 * remains: the lag of each set of a size, then the least among all parts of each larger set, one
 * vertex after the other. On large ones a set is grown.
 */
#include "balance.h"

#include <string.h>

struct filling {
	const struct ga_balance *balance;
	int32_t *lags; /* of the size at hand, by set */
	int32_t last;  /* the lag worked out last, and for what */
	int64_t last_bandwidth;
};

static size_t list(uint32_t mask, size_t *set)
{
	size_t count = 0;

	for (; mask; mask &= mask - 1)
		set[count++] = (size_t)__builtin_ctz(mask);
	return count;
}

static void fill_set(struct filling *filling, size_t size, uint32_t mask)
{
	size_t set[GA_LATER_LAST];
	int64_t bandwidth;

	list(mask, set);
	bandwidth = ga_graph_bandwidth(filling->balance->graph, set, size, 0);
	if (bandwidth != filling->last_bandwidth) { /* few values, and dividing is slow */
		filling->last_bandwidth = bandwidth;
		filling->last = ga_balance_lag(filling->balance->ideal[size], bandwidth);
	}
	filling->lags[mask] = filling->last;
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

int ga_balance_fill_table(struct ga_balance *balance)
{
	size_t vertices = balance->graph->count, sets = (size_t)1 << vertices;

	for (size_t size = GA_LATER_FIRST; size <= balance->later_last; size++) {
		int32_t impossible = ga_balance_lag_impossible(balance, size);
		struct filling filling = {
			.balance = balance,
			.lags = balance->table + (size - GA_LATER_FIRST) * sets,
		};

		for (size_t i = 0; i < sets; i++)
			filling.lags[i] = impossible;
		for (uint32_t mask = (1U << size) - 1; mask < sets; mask = next_of_size(mask))
			if ((mask & ~balance->idle_mask) == 0)
				fill_set(&filling, size, mask);
		spread(filling.lags, vertices);
	}
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
		balance->links[i] += ga_graph_score(balance->graph, rest[best], rest[i]);
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
		bandwidth = ga_graph_bandwidth(balance->graph, set, size, most + 1);
		if (bandwidth < 0 || bandwidth > most)
			most = bandwidth;
		if (most < 0)
			break;
	}
	return most;
}
