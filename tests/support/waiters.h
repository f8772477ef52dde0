/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A holder that gets killed, and processes that wait for its devices in a known order: each is
 * started once the one before it is seen to wait.
 */
#ifndef WAITERS_H
#define WAITERS_H

#include <gpualloc/gpualloc.h>

#include <stdint.h>
#include <sys/types.h>

enum { WAITERS_MOST = 1100 };

struct waiters {
	gpualloc_store *store;
	const char *machine;
	int pipe[2];
	unsigned started, holder;
	pid_t pids[WAITERS_MOST];
};

/*
 * Makes a store at path and a holder of every GPU of the machine file. Like all of these, returns
 * 0, or -1 with a sentence on stderr.
 */
int waiters_begin(struct waiters *waiters, const char *machine, const char *path);
/* One more, at the end of the queue. */
int waiters_add(struct waiters *waiters);
/*
 * Kills the holder. Returns who gets the lease (they are numbered from 1), and how long after the
 * kill it knew. The next call kills that one.
 */
int waiters_kill_holder(struct waiters *waiters, int64_t *ret_ns);
/* Kills all that are left. */
void waiters_end(struct waiters *waiters);

#endif
