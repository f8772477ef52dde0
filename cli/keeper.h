/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keeper: a small process of its own that holds a lease for a time. It has nothing open but the
 * lease and a socket, under a name that says what it keeps. Its user, and root, may ask it by that
 * socket for the lease or for more time. Its end is the end of the hold.
 */
#ifndef CLI_KEEPER_H
#define CLI_KEEPER_H

#include "command.h"

/* The hidden first word by which gpualloc, executed again, knows that it is a keeper. */
#define KEEPER_WORD "--keep"

/*
 * In a process that has nothing else to do: leaves session, terminal and folder, and becomes the
 * keeper of the lease whose descriptor is fd. environment is what programs in it find. Only comes
 * back, with an errno, when it fails.
 */
int keeper_become(const char *title, int fd, int64_t for_ms, char *const *environment);

/* The keeper itself, `gpualloc --keep LEASE_FD SOCKET_FD MILLISECONDS DOOR`: the exit status. */
int keeper_main(char *const *words);

/*
 * Joins a hold of one's own: *ret_fd is the lease's descriptor, *ret_variables its NAME=VALUE
 * strings with a NUL behind each and an empty one at the end, for free(). False where there is no
 * such hold.
 */
bool keeper_join(const gpualloc_store *store, const char *lease, int *ret_fd, char **ret_variables);

/* What a keeper says of its time. */
struct keeper_answer {
	int64_t status;  /* 0; GPUALLOC_EIMPOSSIBLE where it would be longer than most_ms */
	int64_t held_ms; /* from its start to its end */
	int64_t left_ms;
	int64_t most_ms; /* max-hold; -1: no limit */
};

/* As long as any hold may be made, at once. */
#define KEEPER_MOST_MS ((int64_t)365 * 24 * 60 * 60 * 1000)

/* Asks for more time; false where the lease has no keeper that answers. */
bool keeper_extend(const gpualloc_store *store, const char *lease, int64_t more_ms,
		   struct keeper_answer *ret_answer);

#endif
