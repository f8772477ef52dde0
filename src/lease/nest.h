/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases within leases: whether this process runs inside a lease. Only two things prove it: a
 * descriptor of its own that has the lease's locks, or such a descriptor in a live process of the
 * same user. A locked lease byte in the ledger proves nothing; anybody can lock it.
 */
#ifndef GA_LEASE_NEST_H
#define GA_LEASE_NEST_H

#include "claim.h"
#include "holders.h"

struct ga_nest {
	uint64_t outer; /* the id of the lease around us */
	char id[GA_ID_TEXT];
	struct ga_room *rooms; /* what it has, one level deeper; NULL: we are not in a lease */
	size_t room_count;
	struct ga_record record; /* what it says about itself */
	struct ga_holder proof;  /* the process that was seen to have it */
};

void ga_nest_free(struct ga_nest *nest);
#define ga_auto_nest ga_cleanup(ga_nest_free)

/*
 * Looks at GPUALLOC_LEASE and GPUALLOC_FD. *ret_stale: the environment names a lease that we are
 * not in. GPUALLOC_EPERM if it is our user's, it is alive, and we cannot tell whether we are in it:
 * waiting might mean waiting for ourselves.
 */
int ga_nest_find(const struct ga_store *store, struct ga_nest *ret_nest, bool *ret_stale,
		 gpualloc_error *error);
/* Proves once more that the lease is alive; GPUALLOC_EPERM if it has ended. */
int ga_nest_check(const struct ga_store *store, const struct ga_nest *nest, gpualloc_error *error);
/* Its room on a device; NULL if it has none. */
const struct ga_room *ga_nest_room(const struct ga_nest *nest, const char *uuid);

#endif
