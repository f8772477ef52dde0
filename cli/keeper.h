/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keeper: a small process of its own that holds a lease for a time. It has only the lease and a
 * socket open, and its name says what it keeps. Its user, and root, may ask through the socket for
 * the lease or for more time. When it ends, the hold ends.
 */
#ifndef CLI_KEEPER_H
#define CLI_KEEPER_H

#include "command.h"

/* The hidden first word that tells gpualloc, when executed again, that it is a keeper. */
#define KEEPER_WORD "--keep"

/*
 * In a process that has nothing else to do: leaves session, terminal and folder, and becomes the
 * keeper of the lease whose descriptor is fd; notify is the way to its teller, or
 * -1; tether, or -1, ends the hold when its other end is closed. environment
 * is that of programs in the lease. Returns only on failure, with an errno.
 */
int keeper_become(const char *title, int fd, int64_t for_ms, int notify, int tether,
		  char *const *environment);

/* The keeper itself, `gpualloc --keep LEASE_FD SOCKET_FD MILLISECONDS DOOR NOTIFY_FD TETHER_FD`.
 * Returns the exit status. */
int keeper_main(char *const *words);

/* Ends a lease that this process alone still has. */
void keeper_let_go(int lease);

/*
 * Joins a hold of the caller's own. *ret_fd is the lease's descriptor; *ret_variables its
 * NAME=VALUE strings, each with a NUL after it, and an empty one at the end, for free(). False if
 * there is no such hold.
 */
bool keeper_join(const gpualloc_store *store, const char *lease, int *ret_fd, char **ret_variables);

/* What a hold that outlives an agent's session is called in its record. */
#define HOLD_KEPT "hold (kept)"

/* What a keeper says about its time. */
struct keeper_answer {
	int64_t status;  /* 0; GPUALLOC_EIMPOSSIBLE if it would be longer than most_ms */
	int64_t held_ms; /* from its start to its end */
	int64_t left_ms;
	int64_t most_ms; /* max-hold; -1: no limit */
};

/* The longest time that any hold may have, which is also the most to ask for at once. */
#define KEEPER_MOST_MS ((int64_t)365 * 24 * 60 * 60 * 1000)

/* Asks for more time; false if the lease has no keeper that answers. */
bool keeper_extend(const gpualloc_store *store, const char *lease, int64_t more_ms,
		   struct keeper_answer *ret_answer);

#endif
