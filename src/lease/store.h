/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: the folder with the ledger, and what lies around it.
 *
 *   ledger    the account book; see ledger.h. Its owner alone can remove or replace it
 *   arbiter   an flock on it gives claims an order; safety does not depend on it
 *   records/  what holders say of their leases: sticky, for everybody
 *   queue/    what waiters say of their requests: likewise
 *
 * A store is trusted when its folder and its two files belong to root or to oneself, can be
 * replaced by nobody else, and lie on a file system whose locks are the kernel's own. How many
 * other names the ledger has does not matter: users can give it names in folders of theirs, and
 * everybody opens the one that lies in the store's folder, which nobody can move.
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
	int probe;              /* the ledger, for looking only */
	int records;            /* the folder of records */
	int queue;              /* the folder of tickets */
	struct ga_names *names; /* of users, as one attempt knows them; NULL: asked for each time */
};

#define GA_STORE_CLOSED ((struct ga_store){.folder = -1, .probe = -1, .records = -1, .queue = -1})

void ga_store_close(struct ga_store *store);
#define ga_auto_store ga_cleanup(ga_store_close)

/*
 * Opens a store that is there. GPUALLOC_EPERM where there is none or where it cannot be trusted,
 * with the reason and what to do.
 */
int ga_store_open(const char *path, struct ga_store *ret_store, gpualloc_error *error);
/* A second one, with descriptors of its own. */
int ga_store_copy(const struct ga_store *store, struct ga_store *ret_store, gpualloc_error *error);
/* Makes what is missing of a store; for_all: others may use it. */
int ga_store_make(const char *path, bool for_all, gpualloc_error *error);
/* The same for everybody, and what somebody left unfinished is finished. */
int ga_store_set_up(const char *path, gpualloc_error *error);
/* That a store can be trusted, and that nothing is left to do for ga_store_set_up(). */
int ga_store_check(const char *path, gpualloc_error *error);
/* Removes a store nobody holds anything in. */
int ga_store_remove(const char *path, gpualloc_error *error);

/* A store of one's own: one path for each user. */
int ga_store_private_path(char **ret_path, gpualloc_error *error);

/* Whether a descriptor is open on this store's ledger. */
bool ga_store_is_ledger(const struct ga_store *store, int fd);
/* The file system of an open file has locks that every process of this machine sees. */
bool ga_store_locks_are_local(int fd);
/* A description of the ledger of one's own, to lock with; close-on-exec. */
int ga_store_open_ledger(const struct ga_store *store, int *ret_ledger, gpualloc_error *error);

/*
 * Whether the ledger still is what the store calls by that name; GPUALLOC_EPERM where it was
 * removed. Only with locks on it does the answer last: who removes it has to have all of it.
 */
int ga_store_check_ledger(const struct ga_store *store, int ledger, gpualloc_error *error);

/*
 * Removes the leaf of a lease or a ticket that has ended, where it is ours to remove. By its name,
 * so nobody else may have taken that name meanwhile: its byte of the ledger is kept from all until
 * it is gone, and whoever writes a leaf has locked its byte before. Whether it was this call that
 * did.
 */
struct ga_range;
bool ga_store_sweep(const struct ga_store *store, int folder, const char *name,
		    const struct ga_range *byte);

/* Wakes who waits: an unlock alone makes no event, closing what was open for writing does. */
void ga_store_nudge(const struct ga_store *store);

#endif
