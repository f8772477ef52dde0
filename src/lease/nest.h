/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases within leases: whether this process runs inside a lease. Two things prove it and nothing
 * else does: a descriptor of its own that has the lease's locks, or one in a live process of its
 * own user. That the lease's byte in the ledger is locked proves nothing; anybody can do that.
 */
#ifndef GA_LEASE_NEST_H
#define GA_LEASE_NEST_H

#include "claim.h"
#include "holders.h"

struct ga_nest {
	uint64_t outer; /* the id of the lease around us */
	char id[GA_ID_TEXT];
	struct ga_room *rooms; /* what it has, a level deeper; NULL: we are in no lease */
	size_t room_count;
	struct ga_record record; /* what it says of itself */
	struct ga_holder proof;  /* who was seen to have it */
};

void ga_nest_free(struct ga_nest *nest);
#define ga_auto_nest ga_cleanup(ga_nest_free)

/*
 * Looks at GPUALLOC_LEASE and GPUALLOC_FD. *ret_stale: the environment names a lease that we are
 * not in. GPUALLOC_EPERM where it is one of our user's that lives, and it cannot be told: to wait
 * could be to wait for ourselves.
 */
int ga_nest_find(const struct ga_store *store, struct ga_nest *ret_nest, bool *ret_stale,
		 gpualloc_error *error);
/* Whether the lease still lives, as proved as at first; GPUALLOC_EPERM where it has ended. */
int ga_nest_check(const struct ga_store *store, const struct ga_nest *nest, gpualloc_error *error);
/* Its room on a device; NULL where it has none. */
const struct ga_room *ga_nest_room(const struct ga_nest *nest, const char *uuid);

#endif
