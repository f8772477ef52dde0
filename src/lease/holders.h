/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes that have a lease's descriptor, found by what /proc says about open files and their
 * locks. Nothing is known about processes that we may not look into: root sees all of them, a user
 * sees their own. Other people's descriptors cost only so much time: the lease's user's processes
 * are all looked into, and after them others as long as they have few enough.
 */
#ifndef GA_LEASE_HOLDERS_H
#define GA_LEASE_HOLDERS_H

#include "record.h"

struct ga_holder {
	pid_t pid;
	int fd; /* the number it has for the lease's descriptor */
};

struct ga_holders {
	struct ga_holder *list; /* each process once, in order of pids */
	size_t count;
	size_t unseen; /* processes of other users that were not looked into, or not to the end */
};

void ga_holders_free(struct ga_holders *holders);
#define ga_auto_holders ga_cleanup(ga_holders_free)

/* GPUALLOC_EPERM if the lease belongs to another user, or if there is no such lease. */
int ga_holders_find(const struct ga_store *store, const char *id, struct ga_holders *ret_holders,
		    gpualloc_error *error);

/*
 * Finds a process that proves that the lease is alive: one of its user's, whose descriptor holds
 * its id and all that the record lists. 1; 0 if none can be seen; a negative GPUALLOC_E….
 */
int ga_holders_prove(const struct ga_store *store, const struct ga_record *record,
		     struct ga_holder *ret_holder, gpualloc_error *error);
/*
 * Whether that process still proves it: 1, 0 or GPUALLOC_ENOMEM. With pid 0 it is this process
 * itself, whatever its user.
 */
int ga_holders_check(const struct ga_store *store, const struct ga_record *record,
		     const struct ga_holder *holder);

/*
 * The lease as one of its programs has it: a descriptor, or -1 where the kernel keeps a user's
 * processes apart, and the variables that count, each ended by NUL, with one more NUL after the
 * last. Only for the user who leased it, from their own processes, and not for root, because users
 * must not choose root's variables.
 */
int ga_holders_join(const struct ga_store *store, const char *id, bool (*counts)(const char *entry),
		    int *ret_fd, char **ret_variables, gpualloc_error *error);

/*
 * The descriptor of a lease of our own user that another process holds: from then on we hold it
 * too. GPUALLOC_EPERM if no holder can be seen, or where the kernel keeps processes apart.
 */
int ga_holders_adopt(const struct ga_store *store, const char *id, int *ret_fd,
		     gpualloc_error *error);

#endif
