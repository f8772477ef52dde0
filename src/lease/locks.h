/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The locks that a descriptor holds, according to the kernel (/proc/PID/fdinfo): the only proof
 * that a process has a lease. A locked byte of the ledger proves nothing: anybody who can open the
 * ledger can lock it.
 */
#ifndef GA_LEASE_LOCKS_H
#define GA_LEASE_LOCKS_H

#include "record.h"

struct ga_locks {
	struct ga_range *list;
	size_t count;
};

void ga_locks_free(struct ga_locks *locks);
#define ga_auto_locks ga_cleanup(ga_locks_free)

/*
 * Reads the write locks of an open file description; process is a folder in /proc, and fd a name in
 * its fdinfo. 1; 0 if that cannot be read; GPUALLOC_ENOMEM.
 */
int ga_locks_read(int process, const char *fd, struct ga_locks *ret_locks);

/* Whether the locks cover every byte of the range. */
bool ga_locks_cover(const struct ga_locks *locks, struct ga_range range);
/*
 * Whether they cover everything that the record lists, and its id: then this is that lease, and
 * nobody else has a byte of it.
 */
bool ga_locks_are_of(const struct ga_locks *locks, const struct ga_record *record);

#endif
