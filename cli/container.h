/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run --container: the command is `podman run` or `docker run`, and the lease is the container's. A
 * process of its own, the container's keeper, has the lease until the container's first process has
 * ended, whatever becomes of the engine's client.
 */
#ifndef CLI_CONTAINER_H
#define CLI_CONTAINER_H

#include "command.h"

/* The client as it is to be started. */
struct container {
	char **words;       /* with the lease's devices */
	char **environment; /* without what describes the lease, which numbers the host's devices */
	char *texts;        /* that words point into */
};

void container_free(struct container *container);
/* Before anything is leased. Returns 0, or after a message the exit status of the refusal. */
int container_check(const struct call *call);
/* For a lease that was handed on, as its environment says; starts the keeper. Likewise. */
int container_begin(const struct call *call, const char *path, char *const *environment,
		    struct container *ret_container);

/* The hidden first word of the keeper. */
#define CONTAINER_WORD "--keep-container"
enum { CONTAINER_WORDS_LEAST = 7 };
/*
 * The keeper itself, `gpualloc --keep-container LEASE_FD CLIENT_PIDFD CIDFILE FOLDER ENGINE
 * OPTION...`. FOLDER is "" or to be removed. Returns the exit status.
 */
int container_keep(char *const *words);

#endif
