/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gaps: what nobody has of a range for budgets, on its level and all deeper ones. Who chooses, who
 * waits and who claims ask here, so that what one calls free the other can lock.
 */
#ifndef GA_LEASE_GAPS_H
#define GA_LEASE_GAPS_H

#include "ledger.h"

struct ga_gaps {
	struct ga_range *list; /* in order, none touching the next */
	size_t count;
	off_t sum; /* of their lengths */
};

void ga_gaps_free(struct ga_gaps *gaps);
#define ga_auto_gaps ga_cleanup(ga_gaps_free)

/* Adds those of a range, which lies behind all that were added before. */
int ga_gaps_add(int ledger, struct ga_range range, struct ga_gaps *gaps, gpualloc_error *error);

/*
 * Keeps of them what a budget should take, so many bytes in as few pieces as there can be: the
 * smallest that suffices alone, else the largest. False where they have less together.
 */
bool ga_gaps_cut(struct ga_gaps *gaps, off_t wanted);

#endif
