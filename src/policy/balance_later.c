/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What future jobs could still get. On small machines a table has the answer for every set that
 * remains; on large ones a set is grown.
 */
#include "balance.h"
#include "cleanup.h"

#include <string.h>

/* Bandwidths become lags, by rank; the last rank means a size that does not fit any more. */
static void turn_into_lags(struct ga_balance *balance, size_t size, int32_t *lags)
{
	const struct ga_set_within *within = &balance->within;
	size_t last = within->rank_count[size] - 1;

	if (balance->ideal[size] == 0)
		balance->ideal[size] = within->value[size][0];
	for (size_t rank = 0; rank < last; rank++)
		lags[rank] = ga_balance_lag(balance->ideal[size], within->value[size][rank]);
	lags[last] = ga_balance_lag_impossible(balance, size);
	balance->lag[size] = lags;
}

int ga_balance_fill_table(struct ga_balance *balance)
{
	struct ga_set_within *within = &balance->within;
	size_t ranks = 1;

	if (ga_set_within_init(within, balance->graph, balance->idle_mask, balance->later_last) < 0)
		return GPUALLOC_ENOMEM;
	for (size_t size = GA_LATER_FIRST; size <= balance->later_last; size++)
		ranks += within->rank_count[size];
	balance->lags = calloc(ranks, sizeof *balance->lags);
	if (!balance->lags)
		return GPUALLOC_ENOMEM;
	ranks = 0;
	for (size_t size = GA_LATER_FIRST; size <= balance->later_last; size++) {
		turn_into_lags(balance, size, balance->lags + ranks);
		ranks += within->rank_count[size];
	}
	balance->by_table = true;
	return 0;
}

/* Adds the vertex with the highest pair scores to those taken. */
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
