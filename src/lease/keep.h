/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping: we leave alone what those who have waited longer could use. It is noted on the devices
 * after the leases are, so that the choice passes them over and says for whom they are kept.
 */
#ifndef GA_LEASE_KEEP_H
#define GA_LEASE_KEEP_H

#include "config.h"
#include "leases.h"
#include "turn.h"

/* The process that asks what is kept, and what it knows. */
struct ga_keep {
	struct ga_view_of_queue *view;
	gpualloc_machine *machine;
	const struct ga_config *config;
	int64_t keep_s; /* how long things are kept if the rules do not say; 0: half an hour */
};

int ga_keep_for_earlier(const struct ga_keep *keep, gpualloc_error *error);

/* Notes what is kept, as a newcomer with these rules would see it now. */
int ga_keep_for_newcomer(const struct ga_store *store, gpualloc_machine *machine,
			 const struct ga_config *config, gpualloc_error *error);
/* Notes leases and keeps on the machine, and lists what is kept for each waiter. */
int ga_leases_add_keeps(gpualloc_leases *leases, const struct ga_store *store,
			gpualloc_machine *machine, gpualloc_error *error);

/*
 * Asked when what our own ticket wants is free: do all earlier tickets want the same, and may one
 * of them be about to take it? Then a closer look could only end in keeping it for that one. So of
 * a thousand that want the same, only the first takes the closer look.
 */
bool ga_keep_is_behind(const struct ga_keep *keep, const struct ga_ticket *own);

#endif
