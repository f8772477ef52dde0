/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claiming: locking on the ledger what was chosen, all of it or nothing, without ever waiting. Only
 * this decides what is free, whatever was thought before; it is safe without the arbiter.
 */
#ifndef GA_LEASE_CLAIM_H
#define GA_LEASE_CLAIM_H

#include "record.h"

/*
 * Where on the ledger a lease may have its part of a device: all of it on level 0, or, inside
 * another lease, that lease's part, one level deeper.
 */
struct ga_room {
	const char *uuid;
	struct ga_range range;
	struct ga_range *pieces; /* the ranges of the budget around it; NULL: range is all */
	size_t count;
	bool is_part; /* we are inside a budget, which has only part of the device */
};

static inline const struct ga_range *ga_room_ranges(const struct ga_room *room)
{
	return room->pieces ? room->pieces : &room->range;
}

/*
 * Locks the rooms (whole), or that many MiB of each, through the description ledger. GPUALLOC_EBUSY
 * leaves nothing locked. *ret_pieces has one piece for each room, in the same order.
 */
int ga_claim(int ledger, const struct ga_room *rooms, size_t count, int64_t mebibytes,
	     struct ga_piece **ret_pieces, gpualloc_error *error);
/* Unlocks them again, for everybody who has the description. */
int ga_claim_drop(int ledger, const struct ga_piece *pieces, size_t count);

/* A number that nobody can foresee; false where the kernel gives none. */
bool ga_id_choose(uint64_t *ret_id);
/* Locks the byte of an unused id. */
int ga_claim_id(int ledger, uint64_t *ret_id, gpualloc_error *error);

#endif
