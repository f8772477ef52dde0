/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prices of pieces for the tree bound: subgradient steps down the dual, from where a known
 * partition says it may go at best. Any prices make a bound, so rounding and stopping early are
 * harmless.
 */
#include "partition_bound.h"

#include <string.h>

enum { ROUNDS = 60, PATIENCE = 6, PRICE_MAX = 1 << 22 };

struct pricer {
	const struct ga_bound *bound;
	const struct ga_level *level;
	size_t most;                           /* devices of the largest piece */
	size_t full, rest;                     /* groups, size of the short one */
	size_t clusters_of[GA_SEARCH_MAX + 1]; /* by their size */
	double price[GA_SEARCH_MAX + 1];
	double cluster[GA_SEARCH_MAX + 1], group[GA_SEARCH_MAX + 1];
	uint8_t cluster_piece[GA_SEARCH_MAX + 1], group_piece[GA_SEARCH_MAX + 1];
	double balance[GA_SEARCH_MAX + 1]; /* pieces bought less pieces sold */
};

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* The best division of each number of devices into pieces, for clusters and for groups. */
static void divide(struct pricer *p)
{
	p->cluster[0] = p->group[0] = 0;
	for (size_t n = 1; n <= p->level->largest; n++) {
		p->cluster[n] = -1e18;
		for (size_t piece = 1; piece <= smaller(n, p->most); piece++) {
			double value =
				(double)ga_pairs(piece) - p->price[piece] + p->cluster[n - piece];

			if (value > p->cluster[n]) {
				p->cluster[n] = value;
				p->cluster_piece[n] = (uint8_t)piece;
			}
		}
	}
	for (size_t n = 1; n <= p->bound->size; n++) {
		p->group[n] = -1e18;
		for (size_t piece = 1; piece <= smaller(n, p->most); piece++) {
			double value = p->price[piece] + p->group[n - piece];

			if (value > p->group[n]) {
				p->group[n] = value;
				p->group_piece[n] = (uint8_t)piece;
			}
		}
	}
}

static void count_pieces(double *balance, const uint8_t *pieces, size_t devices, double times)
{
	for (; devices > 0; devices -= pieces[devices])
		balance[pieces[devices]] += times;
}

/* The bound at these prices; balance then says where it falls. */
static double evaluate(struct pricer *p)
{
	double value;

	divide(p);
	value = (double)p->full * p->group[p->bound->size] + p->group[p->rest];
	memset(p->balance, 0, sizeof p->balance);
	count_pieces(p->balance, p->group_piece, p->bound->size, (double)p->full);
	count_pieces(p->balance, p->group_piece, p->rest, 1);
	for (size_t n = 1; n <= p->level->largest; n++) {
		if (p->clusters_of[n] == 0)
			continue;
		value += (double)p->clusters_of[n] * p->cluster[n];
		count_pieces(p->balance, p->cluster_piece, n, -(double)p->clusters_of[n]);
	}
	return value;
}

static void step(struct pricer *p, double fall)
{
	double length = 0;

	for (size_t i = 1; i <= p->most; i++)
		length += p->balance[i] * p->balance[i];
	for (size_t i = 1; i <= p->most && length > 0; i++)
		p->price[i] -= fall / length * p->balance[i];
}

static void descend(struct pricer *p, double target, double *best, double *best_price)
{
	double pace = 1;
	size_t waited = 0;

	for (size_t round = 0; round < ROUNDS && *best >= target + 1; round++) {
		double value = evaluate(p);

		if (value < *best - 1e-9) {
			*best = value;
			memcpy(best_price, p->price, sizeof p->price);
			waited = 0;
		} else if (++waited == PATIENCE) {
			pace /= 2;
			waited = 0;
		}
		step(p, pace * (value - target));
	}
}

/* Rounds the prices and makes the tables that states are looked up in. */
static void settle(const struct pricer *p, struct ga_prices *prices, size_t devices)
{
	int32_t price[GA_SEARCH_MAX + 1];

	for (size_t i = 1; i <= p->most; i++) {
		double scaled = p->price[i] * GA_PRICE_SCALE;

		/* So that no sum over all devices leaves 32 bits. */
		scaled = scaled > PRICE_MAX ? PRICE_MAX : scaled < -PRICE_MAX ? -PRICE_MAX : scaled;
		price[i] = (int32_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
	}
	memset(prices->group, 0, sizeof prices->group);
	for (size_t n = 1; n <= devices; n++) {
		int32_t best = INT32_MIN, bought = INT32_MIN;

		for (size_t piece = 1; piece <= smaller(n, p->most); piece++) {
			int32_t value = (int32_t)(GA_PRICE_SCALE * ga_pairs(piece)) - price[piece] +
					prices->cluster[n - piece];
			int32_t saved =
				n <= p->bound->size ? price[piece] + prices->group[n - piece] : 0;

			best = value > best ? value : best;
			bought = saved > bought ? saved : bought;
		}
		prices->cluster[n] = best;
		if (n <= p->bound->size)
			prices->group[n] = bought;
	}
}

/* Pairs of a partition that lie within clusters: what the bound cannot fall below. */
static double pairs_within(const struct pricer *p, const struct ga_partition_problem *problem,
			   const uint16_t *group)
{
	const uint8_t *of = p->bound->classes->of;
	size_t pairs = 0;

	for (size_t i = 0; i < problem->count; i++)
		for (size_t j = 0; j < i; j++)
			pairs += group[i] == group[j] && p->level->cluster[of[i]] != GA_ALONE &&
				 p->level->cluster[of[i]] == p->level->cluster[of[j]];
	return (double)pairs;
}

static void count_clusters(struct pricer *p)
{
	size_t sizes[GA_SEARCH_MAX] = {0};

	memset(p->clusters_of, 0, sizeof p->clusters_of);
	for (size_t c = 0; c < p->bound->classes->count; c++) {
		size_t devices = p->bound->classes->size[c];

		if (p->level->cluster[c] == GA_ALONE)
			p->clusters_of[1] += devices;
		else
			sizes[p->level->cluster[c]] += devices;
	}
	for (size_t i = 0; i < p->level->cluster_count; i++)
		p->clusters_of[sizes[i]]++;
}

static void price_level(struct pricer *p, struct ga_level *level, double target, size_t devices)
{
	double best_price[GA_SEARCH_MAX + 1] = {0}, best = 1e18;

	/* From the cluster's side (no prices), the groups' (all), and the middle. */
	for (int share = 0; share <= 2; share++) {
		for (size_t i = 1; i <= p->most; i++)
			p->price[i] = (double)share / 2 * (double)ga_pairs(i);

		double value = evaluate(p);

		if (value < best) {
			best = value;
			memcpy(best_price, p->price, sizeof p->price);
		}
	}
	memcpy(p->price, best_price, sizeof p->price);
	descend(p, target, &best, best_price);
	memcpy(p->price, best_price, sizeof p->price);
	settle(p, &level->prices[1], devices);
}

void ga_bound_tighten(struct ga_bound *bound, const struct ga_partition_problem *problem,
		      const uint16_t *group)
{
	struct pricer pricer = {
		.bound = bound,
		.full = problem->count / problem->size,
		.rest = problem->count % problem->size,
	};

	for (size_t i = 0; i < bound->level_count; i++) {
		pricer.level = &bound->levels[i];
		pricer.most = smaller(bound->size, pricer.level->largest);
		count_clusters(&pricer);
		price_level(&pricer, &bound->levels[i], pairs_within(&pricer, problem, group),
			    problem->count);
	}
}
