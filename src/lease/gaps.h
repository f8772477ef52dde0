/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gaps: the parts of a budget range that nobody has, on its level and all deeper ones. Choosing,
 * waiting and claiming all ask here, so what one calls free another can lock.
 */
#ifndef GA_LEASE_GAPS_H
#define GA_LEASE_GAPS_H

#include "ledger.h"

struct ga_gaps {
	struct ga_range *list; /* in order, none touching the next */
	size_t count;
	off_t sum; /* of the lengths */
};

void ga_gaps_free(struct ga_gaps *gaps);
#define ga_auto_gaps ga_cleanup(ga_gaps_free)

/* Adds those of a range, which lies after all that were added before. */
int ga_gaps_add(int ledger, struct ga_range range, struct ga_gaps *gaps, gpualloc_error *error);

/*
 * Keeps the gaps that a budget of so many bytes should take, in as few pieces as possible: the
 * smallest gap that is large enough on its own, else the largest ones. False if they are too small
 * together.
 */
bool ga_gaps_cut(struct ga_gaps *gaps, off_t wanted);

#endif
