/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keeper: a small process of its own that holds a lease for a time. It has nothing open but the
 * lease and a socket, under a name that says what it keeps, and whoever is its user may join the
 * lease or end it.
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

/* Opens the door before anybody can hear of the lease; an inheritable descriptor, or -1. */
int keeper_listen(const char *lease);

/* The keeper itself: `gpualloc --keep LEASE_FD SOCKET_FD MILLISECONDS`. Returns the exit status. */
int keeper_main(char *const *words);

/*
 * Joins a hold of one's own: *ret_fd is the lease's descriptor, *ret_variables its NAME=VALUE
 * strings with a NUL behind each and an empty one at the end, for free(). False where there is no
 * such hold.
 */
bool keeper_join(const char *lease, int *ret_fd, char **ret_variables);
/* Ends a hold and waits until its keeper has let go. */
bool keeper_release(const char *lease);

#endif
