/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping: what those who have waited longer could use is not for us. Noted on the devices, after
 * the leases were, so that the choice passes them by and says for whom they are kept.
 */
#ifndef GA_LEASE_KEEP_H
#define GA_LEASE_KEEP_H

#include "config.h"
#include "leases.h"
#include "turn.h"

/* Who asks what is kept, and what it knows. */
struct ga_keep {
	struct ga_view_of_queue *view;
	gpualloc_machine *machine;
	const struct ga_config *config;
	int64_t keep_s; /* how long things are kept where the rules do not say; 0: half an hour */
	bool share;     /* wants a budget: those go beside each other */
};

int ga_keep_for_earlier(const struct ga_keep *keep, gpualloc_error *error);

/* What is kept for each who waits, as somebody sees it who comes now. */
int ga_leases_add_keeps(gpualloc_leases *leases, const struct ga_store *store,
			gpualloc_machine *machine, gpualloc_error *error);

/*
 * Asked when what our own ticket wants is free: whether all earlier ones want the same, and one of
 * them may be about to take it. Then a closer look could only end in keeping it for that one; and
 * of a thousand that want the same, all but the first are spared it.
 */
bool ga_keep_is_behind(const struct ga_keep *keep, const struct ga_ticket *own);

#endif
