/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds a lease by what a person typed: its id or how the id begins, in everybody's store or in the
 * user's own, whichever has it.
 */
#ifndef CLI_LEASE_FIND_H
#define CLI_LEASE_FIND_H

#include "command.h"

/* The stores that exist; none is made. */
struct lease_stores {
	gpualloc_store *list[2];
	size_t count;
};

void lease_stores_free(struct lease_stores *stores);
/* Returns 0 or the exit status. A store that cannot be used is reported and left out. */
int lease_stores_open(const struct call *call, struct lease_stores *ret_stores);

struct lease_found {
	gpualloc_store *store; /* of the stores */
	char id[24];
	char user[256]; /* "" if not known */
	bool is_own;
};

/*
 * A lease of the user's own; for root any lease. Returns 0, or after a message the exit status of
 * the failure.
 */
int lease_find(const struct call *call, const struct lease_stores *stores, const char *word,
	       struct lease_found *ret_found);

#endif
