/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting in the queue: what a person at the terminal sees, and how to give up. */
#ifndef CLI_WAITING_H
#define CLI_WAITING_H

#include "terminal.h"

struct waiting {
	struct terminal terminal; /* the terminal; NULL with --quiet */
	bool painted;
};

void waiting_begin(struct waiting *waiting, bool quiet);
/* For gpualloc_lease_wish_set_wait(). */
int waiting_tell(void *context, size_t place, const char *sentence);
/* Removes the line. If a signal ended the waiting, it ends this process too, so the caller must own
 * nothing by then. Returns that signal, or 0. */
int waiting_end(struct waiting *waiting);

/* Ends this process by a signal, without a core. */
void die_by(int signal);

#endif
