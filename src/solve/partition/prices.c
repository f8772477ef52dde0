/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the prices of each level by itself. For this a cluster is described by its size alone; see
 * dual.h.
 */
#include "bound.h"
#include "dual.h"

#include <string.h>

enum { PRICE_MAX = 1 << 22 }; /* a sum over all vertices must fit in 32 bits */

struct pricer {
	struct ga_part_dual dual; /* first */
	const struct ga_part_level *level;
	size_t clusters_of[GA_PART_SEARCH_MAX + 1]; /* how many clusters there are of each size */
};

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static double sell(struct ga_part_dual *dual)
{
	const struct pricer *p = (const struct pricer *)dual;
	double gain[GA_PART_SEARCH_MAX + 1] = {0}, sum = 0;
	uint8_t best[GA_PART_SEARCH_MAX + 1];

	for (size_t n = 1; n <= p->level->largest; n++) {
		gain[n] = -GA_PART_INFINITE;
		for (size_t piece = 1; piece <= smaller(n, dual->most); piece++) {
			double value =
				(double)ga_part_pairs(piece) - dual->price[piece] + gain[n - piece];

			if (value > gain[n]) {
				gain[n] = value;
				best[n] = (uint8_t)piece;
			}
		}
		sum += (double)p->clusters_of[n] * gain[n];
		for (size_t left = n; p->clusters_of[n] > 0 && left > 0; left -= best[left])
			dual->balance[best[left]] -= (double)p->clusters_of[n];
	}
	return sum;
}

/* Rounds the prices, and fills in the tables in which states are looked up. */
static void settle(const struct pricer *p, struct ga_part_prices *prices, size_t vertices)
{
	int64_t price[GA_PART_SEARCH_MAX + 1] = {0}, saved[GA_PART_SEARCH_MAX + 1];

	for (size_t i = 1; i <= p->dual.most; i++) {
		double scaled = p->dual.price[i] * GA_PART_PRICE_SCALE;

		scaled = scaled > PRICE_MAX ? PRICE_MAX : scaled < -PRICE_MAX ? -PRICE_MAX : scaled;
		price[i] = (int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
	}
	ga_part_dual_buy(&p->dual, price, saved);
	for (size_t n = 0; n <= p->dual.size; n++)
		prices->group[n] = (int32_t)saved[n];
	for (size_t n = 1; n <= vertices; n++) {
		int64_t best = INT64_MIN;

		for (size_t piece = 1; piece <= smaller(n, p->dual.most); piece++) {
			int64_t value = GA_PART_PRICE_SCALE * ga_part_pairs(piece) - price[piece] +
					prices->cluster[n - piece];

			best = value > best ? value : best;
		}
		prices->cluster[n] = (int32_t)best;
	}
}

/* The pairs of a partition that lie within clusters. The bound cannot fall below their number. */
static double pairs_within(const struct ga_part_bound *bound, const struct ga_part_level *level,
			   const struct ga_part_problem *problem, const uint16_t *group)
{
	const uint8_t *of = bound->classes->of;
	size_t pairs = 0;

	for (size_t i = 0; i < problem->count; i++)
		for (size_t j = 0; j < i; j++)
			pairs += group[i] == group[j] && level->cluster[of[i]] != GA_PART_ALONE &&
				 level->cluster[of[i]] == level->cluster[of[j]];
	return (double)pairs;
}

static void count_clusters(struct pricer *p, const struct ga_part_classes *classes)
{
	size_t sizes[GA_PART_SEARCH_MAX] = {0};

	memset(p->clusters_of, 0, sizeof p->clusters_of);
	for (size_t c = 0; c < classes->count; c++) {
		if (p->level->cluster[c] == GA_PART_ALONE)
			p->clusters_of[1] += classes->size[c];
		else
			sizes[p->level->cluster[c]] += classes->size[c];
	}
	for (size_t i = 0; i < p->level->cluster_count; i++)
		p->clusters_of[sizes[i]]++;
}

static void price_level(struct pricer *p, struct ga_part_level *level, double target,
			size_t vertices)
{
	int start = 0;
	double best = GA_PART_INFINITE;

	/*
	 * Starts with no prices (clusters gain everything), half prices, and full prices (groups
	 * gain everything). The last round improves the best of the three.
	 */
	for (int share = 0; share <= 3; share++) {
		const int halves = share < 3 ? share : start;
		double value;

		for (size_t i = 1; i <= p->dual.most; i++)
			p->dual.price[i] = halves / 2.0 * (double)ga_part_pairs(i);
		value = share < 3 ? ga_part_dual_evaluate(&p->dual)
				  : ga_part_dual_descend(&p->dual, target);
		if (value < best) {
			best = value;
			start = halves;
		}
	}
	for (size_t i = 1; i <= p->dual.most; i++)
		level->price[i] = p->dual.price[i];
	settle(p, &level->prices[1], vertices);
}

void ga_part_bound_tighten(struct ga_part_bound *bound, const struct ga_part_problem *problem,
			   const uint16_t *group)
{
	struct pricer pricer = {.dual = {
					.size = bound->size,
					.full = problem->count / bound->size,
					.rest = problem->count % bound->size,
					.sell = sell,
				}};

	for (size_t i = 0; i < bound->level_count; i++) {
		struct ga_part_level *level = &bound->levels[i];

		pricer.level = level;
		pricer.dual.most = smaller(bound->size, level->largest);
		count_clusters(&pricer, bound->classes);
		price_level(&pricer, level, pairs_within(bound, level, problem, group),
			    problem->count);
	}
	ga_part_bound_join_levels(bound, problem, group);
}
