/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases within leases: whether this process runs inside a lease, which has to be proved. Either
 * it has the lease's descriptor (through which the lease's locks do not show, while they do through
 * any other), or the environment names a live lease of its own user.
 */
#ifndef GA_LEASE_NEST_H
#define GA_LEASE_NEST_H

#include "claim.h"

struct ga_nest {
	uint64_t outer; /* the id of the lease around us */
	char id[GA_ID_TEXT];
	struct ga_room *rooms; /* what it has, a level deeper; NULL: we are in no lease */
	size_t room_count;
};

void ga_nest_free(struct ga_nest *nest);
#define ga_auto_nest ga_cleanup(ga_nest_free)

/*
 * Looks at GPUALLOC_LEASE, GPUALLOC_FD and GPUALLOC_DEVICES. *ret_stale: the environment names a
 * lease that could not be proved.
 */
int ga_nest_find(const struct ga_store *store, struct ga_nest *ret_nest, bool *ret_stale,
		 gpualloc_error *error);
/* A range is held, and not by anybody else as seen through fd: then it is held through fd. */
bool ga_nest_is_held_through(const struct ga_store *store, int fd, struct ga_range range);
/* Its room on a device; NULL where it has none. */
const struct ga_room *ga_nest_room(const struct ga_nest *nest, const char *uuid);

#endif
