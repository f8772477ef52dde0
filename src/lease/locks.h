/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a descriptor holds, by the kernel's own word (/proc/PID/fdinfo): the only proof that a
 * process has a lease. A byte of the ledger proves nothing: whoever may read the ledger can lock
 * it.
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
 * The write locks of an open file description; process is a folder of /proc and fd a name in its
 * fdinfo. 1; 0 where that cannot be read; GPUALLOC_ENOMEM.
 */
int ga_locks_read(int process, const char *fd, struct ga_locks *ret_locks);

/* Whether every byte of the range is among them. */
bool ga_locks_cover(const struct ga_locks *locks, struct ga_range range);
/* All that the record lists, and its id: then it is that lease and no other has a byte of it. */
bool ga_locks_are_of(const struct ga_locks *locks, const struct ga_record *record);

#endif
