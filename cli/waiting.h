/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting in the queue: what a person sees, and how to give up. On a terminal one line is painted
 * again and again; in a log, and in the background, there is a line at the start, at each new place
 * and every hour.
 */
#ifndef CLI_WAITING_H
#define CLI_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct waiting {
	bool quiet;
	bool in_queue;
	bool painted;  /* a line is on the terminal that the next one replaces */
	int64_t since; /* by ga_clock_awake_or_not_ms(), as is the next */
	int64_t said_at;
	size_t said_place; /* 0: nothing has been said yet */
};

/*
 * Out of the queue there are only short pauses for those in it: a signal then ends this process as
 * it always does.
 */
void waiting_begin(struct waiting *waiting, bool quiet, bool in_queue);
/* For gpualloc_lease_wish_set_wait(). */
int waiting_tell(void *context, size_t place, const char *sentence);
/* Removes the line. If a signal ended the waiting, it ends this process too, so the caller must own
 * nothing by then. Returns that signal, or 0. */
int waiting_end(struct waiting *waiting);

/* Ends this process by a signal, without a core. */
void die_by(int signal);

#endif
