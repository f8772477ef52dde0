/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Lagrangian dual of the tree bound. Its multipliers are prices of pieces of groups by their
 * size: clusters sell pieces, groups buy them, each as is best for it alone, and what both gain
 * together is a bound for any prices. They are improved by subgradient steps of Polyak's length,
 * against the difference between pieces bought and sold; rounding them and stopping early are
 * harmless.
 */
#ifndef GA_SOLVE_PARTITION_DUAL_H
#define GA_SOLVE_PARTITION_DUAL_H

#include "classes.h"

struct ga_part_dual {
	size_t most;       /* vertices of the largest piece */
	size_t size;       /* of a full group */
	size_t full, rest; /* groups, size of the short one */
	double price[GA_PART_SEARCH_MAX + 1];
	double balance[GA_PART_SEARCH_MAX + 1]; /* pieces bought less pieces sold */
	/* What the sellers gain; takes what they sell off balance. */
	double (*sell)(struct ga_part_dual *dual);
};

/* From the prices that are set, at most to target; the best found are left. */
double ga_part_dual_descend(struct ga_part_dual *dual, double target);
/* Of the prices that are set; balance is that of these prices. */
double ga_part_dual_evaluate(struct ga_part_dual *dual);
/* What groups of each size up to full ones save at prices that are rounded. */
void ga_part_dual_buy(const struct ga_part_dual *dual, const int64_t *price, int64_t *saved);

#endif
