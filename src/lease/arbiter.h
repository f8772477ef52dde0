/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arbiter: an flock that gives claims and tickets an order. Safety does not depend on it: a
 * process that sits on it, stopped or hostile, costs others two seconds and is named.
 */
#ifndef GA_LEASE_ARBITER_H
#define GA_LEASE_ARBITER_H

#include "buffer.h"
#include "store.h"

#include <signal.h>

struct ga_arbiter {
	int fd; /* -1: we go on without it */
	bool blocked;
	sigset_t before;
};

#define GA_ARBITER_NONE ((struct ga_arbiter){.fd = -1})

/*
 * Takes it, waiting patience_ms at most. If that fails, note gets a sentence that says who sits on
 * it, and the caller goes on without order, but never without the ledger's locks. The terminal's
 * stop signals are blocked while we hold it.
 */
void ga_arbiter_take(const struct ga_store *store, unsigned patience_ms, struct ga_arbiter *arbiter,
		     struct ga_buffer *note);
void ga_arbiter_drop(struct ga_arbiter *arbiter);
#define ga_auto_arbiter ga_cleanup(ga_arbiter_drop)

#endif
