/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tasks of a step on one node, which share one lease. Slurm's step daemon opens the lease's
 * place before it forks them, so all have the lease from its first instant, and so does the daemon:
 * a task that closes every descriptor keeps its devices. The first task acquires. It may wait as
 * long as it must, because Slurm can end a task; it could not end its own daemon inside a plugin.
 * The others get the result over a pipe.
 */
#ifndef SLURM_CREW_H
#define SLURM_CREW_H

#include <gpualloc/gpualloc.h>
#include <stdbool.h>

enum { CREW_TEXT = 1 << 18 };

struct crew {
	int place;
	int bell[2]; /* a byte for each of the others; closed without one if the first has ended */
	struct board *board; /* memory that all tasks share */
	unsigned tasks, forked, ended;
};

#define CREW_NONE ((struct crew){.place = -1, .bell = {-1, -1}})

/* ---- in the daemon ---- */

/* As the user the job belongs to. */
int crew_open(struct crew *crew, const char *path, unsigned tasks, gpualloc_error *error);
void crew_close(struct crew *crew);
/* A task has been forked; after the last one only tasks can write to the pipe. */
void crew_forked(struct crew *crew);
/* A task has ended; when the last one ends, so does the daemon's share of the lease. */
void crew_ended(struct crew *crew);

/* ---- in a task ---- */

/* For the first task: variables as NAME=VALUE, each ended by NUL, or why there are none. */
void crew_tell(struct crew *crew, const char *text, size_t size, bool is_refusal);
/* For the others, once each: what the first has sent; NULL if it ended without a word. */
const char *crew_hear(struct crew *crew, size_t *ret_size, bool *ret_is_refusal);

#endif
