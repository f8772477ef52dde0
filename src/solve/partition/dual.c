/* SPDX-License-Identifier: Apache-2.0 */
/* Finds prices; see dual.h. */
#include "dual.h"

#include <string.h>

enum { ROUNDS = 80, PATIENCE = 6 };

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static void count_bought(struct ga_part_dual *dual, const uint8_t *piece, size_t vertices,
			 double times)
{
	for (; vertices > 0; vertices -= piece[vertices])
		dual->balance[piece[vertices]] += times;
}

static double buy(struct ga_part_dual *dual)
{
	double saved[GA_PART_SEARCH_MAX + 1] = {0};
	uint8_t best[GA_PART_SEARCH_MAX + 1];

	for (size_t n = 1; n <= dual->size; n++) {
		saved[n] = -GA_PART_INFINITE;
		for (size_t piece = 1; piece <= smaller(n, dual->most); piece++)
			if (dual->price[piece] + saved[n - piece] > saved[n]) {
				saved[n] = dual->price[piece] + saved[n - piece];
				best[n] = (uint8_t)piece;
			}
	}
	count_bought(dual, best, dual->size, (double)dual->full);
	count_bought(dual, best, dual->rest, 1);
	return (double)dual->full * saved[dual->size] + saved[dual->rest];
}

void ga_part_dual_buy(const struct ga_part_dual *dual, const int64_t *price, int64_t *saved)
{
	saved[0] = 0;
	for (size_t n = 1; n <= dual->size; n++) {
		saved[n] = INT64_MIN;
		for (size_t piece = 1; piece <= smaller(n, dual->most); piece++)
			if (price[piece] + saved[n - piece] > saved[n])
				saved[n] = price[piece] + saved[n - piece];
	}
}

double ga_part_dual_evaluate(struct ga_part_dual *dual)
{
	memset(dual->balance, 0, sizeof dual->balance);
	return buy(dual) + dual->sell(dual);
}

static void step(struct ga_part_dual *dual, double fall)
{
	double length = 0;

	for (size_t i = 1; i <= dual->most; i++)
		length += dual->balance[i] * dual->balance[i];
	for (size_t i = 1; i <= dual->most && length > 0; i++)
		dual->price[i] -= fall / length * dual->balance[i];
}

double ga_part_dual_descend(struct ga_part_dual *dual, double target)
{
	double best_price[GA_PART_SEARCH_MAX + 1], best = GA_PART_INFINITE, pace = 1;
	size_t waited = 0;

	for (size_t round = 0; round < ROUNDS && best >= target + 1; round++) {
		double value = ga_part_dual_evaluate(dual);

		if (value < best - 1e-9) {
			best = value;
			memcpy(best_price, dual->price, sizeof best_price);
			waited = 0;
		} else if (++waited == PATIENCE) {
			pace /= 2;
			waited = 0;
		}
		step(dual, pace * (value - target));
	}
	memcpy(dual->price, best_price, sizeof best_price);
	return best;
}
