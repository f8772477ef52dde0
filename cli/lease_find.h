/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lease by what a person typed of it: its id or the beginning of it, in everybody's store or in
 * one's own, whichever has it.
 */
#ifndef CLI_LEASE_FIND_H
#define CLI_LEASE_FIND_H

#include "command.h"

/* The stores that are there; nothing is made. */
struct lease_stores {
	gpualloc_store *list[2];
	size_t count;
};

void lease_stores_free(struct lease_stores *stores);
/* Returns 0 or the exit status. A store that cannot be used is said and left out. */
int lease_stores_open(const struct call *call, struct lease_stores *ret_stores);

struct lease_found {
	gpualloc_store *store; /* of the stores */
	char id[24];
	char user[256]; /* "" where nobody knows */
	bool is_own;
};

/*
 * A lease of one's own, for root any. Returns 0, or the exit status of a failure about which
 * everything has been said.
 */
int lease_find(const struct call *call, const struct lease_stores *stores, const char *word,
	       struct lease_found *ret_found);

#endif
