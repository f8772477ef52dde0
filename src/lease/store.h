/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: the folder with the ledger, and what lies around it.
 *   ledger    the account book; see ledger.h. Only its owner can remove or replace it
 *   arbiter   an flock on it gives claims an order; safety does not depend on it
 *   records/  what holders say about their leases: sticky, for everybody
 *   queue/    what waiters say about their requests: likewise
 * A store is trusted if its folder and its two files belong to root or to our own user, nobody else
 * can replace them, and they lie on a file system whose locks are the kernel's own. Other names of
 * the ledger do not matter: users can link it into their own folders, but everybody opens the one
 * in the store's folder, which nobody can move.
 */
#ifndef GA_LEASE_STORE_H
#define GA_LEASE_STORE_H

#include "cleanup.h"
#include "error.h"
#include "names.h"

#include <stdbool.h>
#include <sys/stat.h>

#define GA_STORE_DEFAULT "/run/gpualloc"

struct ga_store {
	char *path;
	int folder;
	int probe;              /* the ledger, only for looking */
	int records;            /* the folder of records */
	int queue;              /* the folder of tickets */
	struct ga_names *names; /* names of users, remembered during one attempt; NULL: asked for
				   each time */
};

#define GA_STORE_CLOSED ((struct ga_store){.folder = -1, .probe = -1, .records = -1, .queue = -1})

void ga_store_close(struct ga_store *store);
#define ga_auto_store ga_cleanup(ga_store_close)

/*
 * Opens an existing store. GPUALLOC_EPERM if there is none or it cannot be trusted, with the reason
 * and what to do.
 */
int ga_store_open(const char *path, struct ga_store *ret_store, gpualloc_error *error);
/* Copies it, with its own descriptors. */
int ga_store_copy(const struct ga_store *store, struct ga_store *ret_store, gpualloc_error *error);
/* Makes the missing parts of a store; for_all: others may use it. */
int ga_store_make(const char *path, bool for_all, gpualloc_error *error);
/* The same for everybody; also finishes what was left unfinished. */
int ga_store_set_up(const char *path, gpualloc_error *error);
/* Checks that a store can be trusted, and that ga_store_set_up() has nothing left to do. */
int ga_store_check(const char *path, gpualloc_error *error);
/* Removes a store in which nobody holds anything. */
int ga_store_remove(const char *path, gpualloc_error *error);

/* The path of the user's private store: one for each user. */
int ga_store_private_path(char **ret_path, gpualloc_error *error);

/* Whether a descriptor is open on this store's ledger. */
bool ga_store_is_ledger(const struct ga_store *store, int fd);
/* Whether every process on this machine sees the locks of this file's file system. */
bool ga_store_locks_are_local(int fd);
/* Opens a new description of the ledger, for locking; close-on-exec. */
int ga_store_open_ledger(const struct ga_store *store, int *ret_ledger, gpualloc_error *error);

/*
 * Whether this is still the file that the store has under that name; GPUALLOC_EPERM if it was
 * removed. The answer only lasts while we have locks on it: to remove it somebody must lock all of
 * it.
 */
int ga_store_check_ledger(const struct ga_store *store, int ledger, gpualloc_error *error);

/*
 * Removes the leaf of a lease or ticket that has ended, if it is ours to remove; returns whether
 * this call removed it. It is removed by name, so nobody else must take the name in the meantime:
 * we guard its byte of the ledger until it is gone, and everybody locks the byte before writing a
 * leaf.
 */
struct ga_range;
bool ga_store_sweep(const struct ga_store *store, int folder, const char *name,
		    const struct ga_range *byte);

/*
 * Wakes waiters: unlocking alone makes no event, but closing a file that was open for writing does.
 */
void ga_store_nudge(const struct ga_store *store);

#endif
