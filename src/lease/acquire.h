/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Acquiring: what an attempt knows, and the attempt. One description of the ledger is opened for
 * all attempts: it carries the ticket while waiting, and then the lease.
 */
#ifndef GA_LEASE_ACQUIRE_H
#define GA_LEASE_ACQUIRE_H

#include "arbiter.h"
#include "config.h"
#include "keep.h"
#include "lease.h"

struct ga_acquiring {
	struct ga_store store; /* the caller's, but with our own cache of names */
	struct ga_names names;
	const gpualloc_lease_wish *wish;
	gpualloc_request request; /* as asked, or as a nested or stale environment makes it */
	struct ga_nest nest;
	int ledger;
	gpualloc_machine *machine;
	int64_t machine_at;      /* when it was looked at */
	struct ga_config config; /* as it was then */
	bool arbiter_is_blocked; /* seen once; later attempts do not wait for it again */
	struct ga_buffer notes;  /* sentences, each ended by NUL */
	struct ga_view_of_queue view;
	size_t place;     /* in the queue, from 1 */
	bool has_too_few; /* the last attempt found fewer than wanted, whatever is kept */
};

int ga_acquiring_start(struct ga_acquiring *acquiring, const struct ga_store *store,
		       const gpualloc_request *request, const gpualloc_lease_wish *wish,
		       gpualloc_error *error);
void ga_acquiring_end(struct ga_acquiring *acquiring);
#define ga_auto_acquiring ga_cleanup(ga_acquiring_end)

/* Looks at the machine where the last look is older than max_age_ms. */
int ga_acquiring_look(struct ga_acquiring *acquiring, int64_t max_age_ms, gpualloc_error *error);
void ga_acquiring_note(struct ga_acquiring *acquiring, const char *text);
/* Waits patiently the first time, and adds a note if somebody sits on it. */
void ga_acquiring_arbitrate(struct ga_acquiring *acquiring, struct ga_arbiter *arbiter);

/* The parts of it that decide what is kept for others. */
struct ga_keep ga_acquiring_keep(struct ga_acquiring *acquiring);

/*
 * The last word of a refusal, where so far only leases were looked at: what is kept for others is
 * not free either. Leaves the error alone if it says something else.
 */
void ga_acquiring_refuse(struct ga_acquiring *acquiring, gpualloc_error *error);

/* Chooses and claims once; GPUALLOC_EBUSY leaves nothing locked but the ticket. */
int ga_acquiring_try(struct ga_acquiring *acquiring, gpualloc_lease **ret_lease,
		     gpualloc_error *error);

#endif
