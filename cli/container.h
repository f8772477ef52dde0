/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run --container: the command is `podman run` or `docker run`, and the lease is the container's. A
 * process of its own, the container's keeper, has the lease until the container's first process has
 * ended, whatever becomes of the engine's client.
 */
#ifndef CLI_CONTAINER_H
#define CLI_CONTAINER_H

#include "command.h"
#include "orphan.h"

#include <signal.h>
#include <sys/types.h>

/* The client, as it was or will be started. */
struct container {
	char **words;       /* with the lease's devices */
	char **environment; /* without what describes the lease, which numbers the host's devices */
	char *texts;        /* that words point into */
	pid_t client;
	int go, verdict; /* pipes: to the client, from the keeper */
	sigset_t taken;
	sigset_t before;               /* this process's mask, and … */
	struct sigaction child_before; /* … what SIGCHLD did, for the client */
};

#define CONTAINER_NONE ((struct container){.go = -1, .verdict = -1})

void container_free(struct container *container);
/* Before anything is leased. Returns 0, or after a message the exit status of the refusal. */
int container_check(const struct call *call);
/*
 * For a lease that was handed on, as its environment says: makes the client, which does not run
 * yet, and the keeper. Likewise. From then on both have the lease, and this process needs it no
 * more.
 */
int container_begin(const struct call *call, const char *path, char *const *environment,
		    struct container *ret_container);
/*
 * Runs the client to its end and returns its status, as from waitpid(). If the container has ended
 * too, the lease has when this returns.
 */
int container_run(struct container *container);

/* The hidden first word of the keeper. */
#define CONTAINER_WORD "--keep-container"
enum { CONTAINER_WORDS_LEAST = 5 };
/* Its descriptors: the lease, the client's pidfd, and a pipe that it closes when it is certain
 * whether the container lives on without its client. */
enum { CONTAINER_LEASE = GA_ORPHAN_ANSWER + 1, CONTAINER_CLIENT, CONTAINER_VERDICT };
/*
 * The keeper itself, `gpualloc --keep-container CIDFILE FOLDER ENGINE OPTION...`. FOLDER is "" or
 * to be removed. Returns the exit status.
 */
int container_keep(char *const *words);

#endif
