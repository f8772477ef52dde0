/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lease: one open file description of the ledger. Acquiring chooses and claims in one step; the
 * look at the machine, which may block, comes before that.
 */
#ifndef GA_LEASE_LEASE_H
#define GA_LEASE_LEASE_H

#include "leases.h"

#include "request.h"

struct gpualloc_store {
	struct ga_store files;
};

struct gpualloc_lease_wish {
	char *machine; /* as gpualloc_machine_open() takes it; NULL: automatic */
	unsigned deadline_ms;
	int64_t wait_ms; /* 0: do not wait, -1: no limit */
	gpualloc_wait_function *function;
	void *context;
	gpualloc_waiting_function *asking; /* is told what we ask a slow driver; may be NULL */
	void *asking_context;
	char *note;
	char *command;
	int64_t hold_ms; /* how long it will be held; 0: not known */
	int64_t limit_ms; /* how long what runs in it may run; 0: not known */
	int place;       /* the descriptor that will carry it; -1: make one */
	int stop;        /* waiting ends when it can be read; -1: none */
	int64_t keep_s;  /* how long things are kept for waiters; 0: the usual half hour; negative:
			  * nothing is kept for this one */
};

struct gpualloc_lease {
	struct ga_store store; /* its own copy, so the caller may free theirs */
	int fd;                /* -1: released */
	pid_t owner;           /* who acquired it */
	uint64_t number;
	char id[GA_ID_TEXT];
	gpualloc_machine *machine;
	const gpualloc_device **devices;
	struct ga_piece *pieces;
	size_t count;
	int64_t memory; /* GA_UNKNOWN: whole */
	char **notes;
	size_t note_count;
};

int ga_lease_acquire(const struct ga_store *store, const gpualloc_request *request,
		     const gpualloc_lease_wish *wish, gpualloc_lease **ret_lease,
		     gpualloc_error *error);
int ga_lease_release(gpualloc_lease *lease, gpualloc_error *error);
void ga_lease_free(gpualloc_lease *lease);
int ga_lease_hand_on(gpualloc_lease *lease, int *ret_fd, gpualloc_error *error);

/* GPUALLOC_ENOMEM or 0. */
int ga_lease_add_note(gpualloc_lease *lease, const char *text);

#endif
