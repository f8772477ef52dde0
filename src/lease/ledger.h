/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: one file whose content is never read. Its address space is an account book that the
 * kernel keeps: a lease is one open file description with write locks on the ranges of its devices
 * and on a byte of its own. The locks go when the last copy of the description is closed, however
 * the holders end. Nothing else says who has what.
 *
 *   GPU      a region of 2^32 bytes, found by hashing its UUID to 30 bits: if two GPUs collide,
 *            they merely cannot be leased at once
 *   level    eight in a region, for leases within leases; everybody starts on level 0
 *   MIG      in a level, 2^23 bytes for a GPU instance, and in these 2^20 for a compute instance;
 *            an instance whose place is not known takes the whole level
 *   memory   one byte for each MiB: for an instance in its range, for a GPU in the last 2^23 bytes
 *            of a level, where there are no instances. So a GPU's budgets and its instances have no
 *            byte in common; they are rivals, and after locking one we check for the other
 *   id       after all regions, one byte for each lease
 *   ticket   after the ids, one byte for each waiting request
 *   looking  after the tickets, one byte each: held while its waiter asks the driver
 */
#ifndef GA_LEASE_LEDGER_H
#define GA_LEASE_LEDGER_H

#include "machine.h"

#include <sys/types.h>

struct ga_range {
	off_t start;
	off_t length; /* never 0: to the kernel that means "to the end of the file" */
};

enum { GA_LEVELS = 8, GA_ID_BITS = 40, GA_TICKET_BITS = 40 };

/* The range that a whole device, GPU or MIG instance, takes on a level. Needs the GPU's UUID. */
struct ga_range ga_ledger_device(const gpualloc_device *device, unsigned level);
/* The same by numbers: a GPU instance of a GPU and a compute instance in it, whether they exist or
 * not. */
struct ga_range ga_ledger_part(const gpualloc_device *gpu, int64_t gi, int64_t ci, unsigned level);
/* The bytes of count MiB of its memory, starting at MiB number first. */
struct ga_range ga_ledger_memory(const gpualloc_device *device, unsigned level, int64_t first,
				 int64_t count);
/*
 * What excludes a range without overlapping it: for a GPU's budget the GPU's instances, for an
 * instance the GPU's budgets. For a whole level nothing: length 0.
 */
struct ga_range ga_ledger_rivals(struct ga_range range);
/* The same range some levels deeper. */
struct ga_range ga_ledger_deeper(struct ga_range range, unsigned levels);
unsigned ga_ledger_level(struct ga_range range);
struct ga_range ga_ledger_id(uint64_t id);
struct ga_range ga_ledger_ticket(uint64_t number);
struct ga_range ga_ledger_looking(uint64_t number);
struct ga_range ga_ledger_all_ids(void);
struct ga_range ga_ledger_all_devices(void);
struct ga_range ga_ledger_everything(void);

/* Whether two ranges overlap. */
bool ga_range_meets(struct ga_range a, struct ga_range b);

/*
 * Locks a range for this description: 0, or GPUALLOC_EBUSY if somebody else has part of it. Never
 * waits.
 */
int ga_ledger_lock(int ledger, struct ga_range range, gpualloc_error *error);
int ga_ledger_unlock(int ledger, struct ga_range range);
/*
 * Stops everybody from locking the byte of an id or ticket that has ended, without looking like its
 * owner. The description must be open for reading. False if somebody has the byte.
 */
bool ga_ledger_guard(int ledger, struct ga_range range);

/*
 * Whether another description has part of the range; -1 if we cannot tell. On ids and tickets only
 * write locks count.
 */
int ga_ledger_is_held(int ledger, struct ga_range range, struct ga_range *ret_part);
/*
 * The same for its rivals, on its level and deeper ones: a lease within a lease may go on after the
 * one around it has ended.
 */
int ga_ledger_has_rival(int ledger, struct ga_range range);
/*
 * The same for everything that may oppose a range that we have locked: its rivals, and the range
 * itself on deeper levels.
 */
int ga_ledger_is_opposed(int ledger, struct ga_range range);
/* The same for all of that, before the range is locked. */
int ga_ledger_is_taken(int ledger, struct ga_range range);
/*
 * Calls found() for every lock of others that overlaps the range, in order of their starts, until
 * it returns something other than 0; returns that, or a negative GPUALLOC_E…. Honest holders are
 * few. If a stranger has locked so many pieces that looking at all of them would take long, the
 * rest of the range is reported as one held part.
 */
int ga_ledger_probe(int ledger, struct ga_range range,
		    int (*found)(void *context, struct ga_range part), void *context);

#endif
