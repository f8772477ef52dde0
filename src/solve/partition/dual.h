/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Lagrangian dual of the tree bound. Its multipliers are the prices of pieces, by their size.
 * Clusters sell pieces and groups buy them, each in the way that is best for it alone. For any
 * prices, what all of them gain together is a bound. Subgradient steps of Polyak's length improve
 * the prices, against the difference between pieces bought and pieces sold. Rounding the prices or
 * stopping early does no harm: the result is still a bound.
 */
#ifndef GA_SOLVE_PARTITION_DUAL_H
#define GA_SOLVE_PARTITION_DUAL_H

#include "classes.h"

struct ga_part_dual {
	size_t most;       /* the number of vertices in the largest piece */
	size_t size;       /* of a full group */
	size_t full, rest; /* the number of full groups; the size of the short one */
	double price[GA_PART_SEARCH_MAX + 1];
	double balance[GA_PART_SEARCH_MAX + 1]; /* by size: pieces bought minus pieces sold */
	/* Returns what the sellers gain, and subtracts the pieces that they sell from balance. */
	double (*sell)(struct ga_part_dual *dual);
};

/*
 * Improves the prices that are set, until the bound is close to target or the rounds end. Leaves
 * the best prices in price, and returns their bound.
 */
double ga_part_dual_descend(struct ga_part_dual *dual, double target);
/* Returns the bound for the prices that are set, and sets balance for them. */
double ga_part_dual_evaluate(struct ga_part_dual *dual);
/* Sets what groups of each size, up to full ones, gain by buying at rounded prices. */
void ga_part_dual_buy(const struct ga_part_dual *dual, const int64_t *price, int64_t *saved);

#endif
