/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: one file whose content is never read. Its address space is the account book, and the
 * kernel keeps it: a lease is one open file description with write locks on the ranges of its
 * devices and on a byte of its own. Locks go when the last copy of the description is closed,
 * however the holders end; no other truth about who has what exists.
 *
 *   GPU      a region of 2^32 bytes, found by hashing its UUID to 30 bits: a collision of two GPUs
 *            only keeps them from being leased at once
 *   level    eight in a region, for leases within leases; level 0 is where everybody starts
 *   MIG      in a level, 2^23 bytes a GPU instance and in these 2^20 a compute instance; where it
 *            lies is not known of an instance that takes the whole level
 *   memory   a byte a MiB: of an instance in its range, of a GPU in the last 2^23 bytes of a level,
 *            where no instance is. So a GPU's budgets and its instances have no byte in common;
 *            they are rivals, and who has locked the one looks whether anybody has the other
 *   id       behind all regions, one byte a lease
 *   ticket   behind the ids, one byte a request that waits
 *   looking  behind the tickets, one byte each: held while its waiter asks the driver
 */
#ifndef GA_LEASE_LEDGER_H
#define GA_LEASE_LEDGER_H

#include "machine.h"

#include <sys/types.h>

struct ga_range {
	off_t start;
	off_t length; /* never 0: to the kernel that would mean "to the end of everything" */
};

enum { GA_LEVELS = 8, GA_ID_BITS = 40, GA_TICKET_BITS = 40 };

/* What a whole device, GPU or MIG instance, takes on a level. Needs the GPU's UUID. */
struct ga_range ga_ledger_device(const gpualloc_device *device, unsigned level);
/* From megabyte first on, count of them. */
struct ga_range ga_ledger_memory(const gpualloc_device *device, unsigned level, int64_t first,
				 int64_t count);
/* What excludes a range without meeting it: the instances of the GPU whose budget it is, the GPU's
   budgets for an instance. Nothing, of length 0, for a whole level. */
struct ga_range ga_ledger_rivals(struct ga_range range);
/* The same place some levels deeper. */
struct ga_range ga_ledger_deeper(struct ga_range range, unsigned levels);
unsigned ga_ledger_level(struct ga_range range);
struct ga_range ga_ledger_id(uint64_t id);
struct ga_range ga_ledger_ticket(uint64_t number);
struct ga_range ga_ledger_looking(uint64_t number);
struct ga_range ga_ledger_all_ids(void);
struct ga_range ga_ledger_all_devices(void);
struct ga_range ga_ledger_everything(void);

/* Whether two ranges have a byte in common. */
bool ga_range_meets(struct ga_range a, struct ga_range b);

/*
 * Locks a range for this description: 0, or GPUALLOC_EBUSY where somebody else has a part of it.
 * Never waits.
 */
int ga_ledger_lock(int ledger, struct ga_range range, gpualloc_error *error);
int ga_ledger_unlock(int ledger, struct ga_range range);
/*
 * Keeps everybody from locking the byte of an id or a ticket that has ended, without looking like
 * its owner; for a description that is open for reading. False where somebody has it.
 */
bool ga_ledger_guard(int ledger, struct ga_range range);

/*
 * Whether anybody but this description has a part of the range; -1 where it cannot be told. Of ids
 * and tickets only write locks count.
 */
int ga_ledger_is_held(int ledger, struct ga_range range, struct ga_range *ret_part);
/* The same for its rivals, on its level and on deeper ones: there are leases within leases, and
   they may go on when those around them have ended. */
int ga_ledger_has_rival(int ledger, struct ga_range range);
/* For what may keep us from a range that we have locked: its rivals, and itself deeper down. */
int ga_ledger_is_opposed(int ledger, struct ga_range range);
/* For all that before it is locked. */
int ga_ledger_is_taken(int ledger, struct ga_range range);
/*
 * Calls found for every lock of others that meets the range, in order of their starts, until it
 * returns something else than 0; returns that, or a negative GPUALLOC_E….
 * Holders are few. Where a stranger has locked so many pieces that a look would take long, the rest
 * of the range is told as one part that is held.
 */
int ga_ledger_probe(int ledger, struct ga_range range,
		    int (*found)(void *context, struct ga_range part), void *context);

#endif
