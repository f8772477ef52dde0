/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes that have a lease's descriptor, found by what /proc says of open files and the
 * locks on them. Of processes one may not look into nothing is known: root sees all, a user his
 * own.
 */
#ifndef GA_LEASE_HOLDERS_H
#define GA_LEASE_HOLDERS_H

#include "record.h"

struct ga_holder {
	pid_t pid;
	int fd; /* its number for the lease's descriptor */
};

struct ga_holders {
	struct ga_holder *list; /* a process once, in order of pids */
	size_t count;
};

void ga_holders_free(struct ga_holders *holders);
#define ga_auto_holders ga_cleanup(ga_holders_free)

/* GPUALLOC_EPERM where the lease belongs to another user, or where there is no such lease. */
int ga_holders_find(const struct ga_store *store, const char *id, struct ga_holders *ret_holders,
		    gpualloc_error *error);

/*
 * Finds a process that proves that the lease lives: one of its user whose descriptor holds its id
 * and all that the record lists. 1; 0 where none can be seen; a negative GPUALLOC_E….
 */
int ga_holders_prove(const struct ga_store *store, const struct ga_record *record,
		     struct ga_holder *ret_holder, gpualloc_error *error);
/* Whether that one still does: 1, 0 or GPUALLOC_ENOMEM. With pid 0 it is this process itself,
   whatever user it has. */
int ga_holders_check(const struct ga_store *store, const struct ga_record *record,
		     const struct ga_holder *holder);

/*
 * The lease as one of its programs has it: a descriptor, or -1 where the kernel keeps processes of
 * one user apart, and of the variables that it was told those that count, each ended by NUL, with
 * one more behind the last. Only for who leased it, from processes of theirs, and not for root, who
 * is not to be told by users.
 */
int ga_holders_join(const struct ga_store *store, const char *id, bool (*counts)(const char *entry),
		    int *ret_fd, char **ret_variables, gpualloc_error *error);

#endif
