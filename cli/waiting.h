/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting in the queue: what a person at the terminal sees of it, and how it is given up. */
#ifndef CLI_WAITING_H
#define CLI_WAITING_H

#include "terminal.h"

struct waiting {
	struct terminal terminal; /* what is painted on; none with --quiet */
	bool painted;
};

void waiting_begin(struct waiting *waiting, bool quiet);
/* For gpualloc_lease_wish_set_wait(). */
int waiting_tell(void *waiting, size_t place, const char *sentence);
/* Takes the line away. Where a signal ended the waiting, so does it this process: only the caller's
 * owning locals must be gone. Returns that signal, or 0. */
int waiting_end(struct waiting *waiting);

/* Ends this process by a signal, without a core. */
void die_by(int signal);

#endif
