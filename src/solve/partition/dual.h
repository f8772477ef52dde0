/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prices of pieces of groups by their size, the multipliers of the tree bounds: whoever sells
 * pieces and the groups that buy them each do their best, and what both gain together is a bound.
 * Steps go against the difference between pieces bought and sold. Any prices make a bound, so that
 * rounding and stopping early are harmless.
 */
#ifndef GA_SOLVE_PARTITION_DUAL_H
#define GA_SOLVE_PARTITION_DUAL_H

#include "classes.h"

struct ga_dual {
	size_t most;       /* devices of the largest piece */
	size_t size;       /* of a full group */
	size_t full, rest; /* groups, size of the short one */
	double price[GA_SEARCH_MAX + 1];
	double balance[GA_SEARCH_MAX + 1]; /* pieces bought less pieces sold */
	/* What the sellers gain; takes what they sell off balance. */
	double (*sell)(struct ga_dual *dual);
};

/* From the prices that are set, at most to target; the best found are left. */
double ga_dual_descend(struct ga_dual *dual, double target);
/* Of the prices that are set; balance is that of these prices. */
double ga_dual_evaluate(struct ga_dual *dual);
/* What groups of each size up to full ones save at prices that are rounded. */
void ga_dual_buy(const struct ga_dual *dual, const int64_t *price, int64_t *saved);

#endif
