/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lease: one open file description on the ledger. Acquiring chooses and claims in one step;
 * what may block, the look at the machine, lies before it.
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
	int64_t wait_ms; /* 0: not at all, -1: for ever */
	gpualloc_wait_function *function;
	void *context;
	gpualloc_waiting_function *asking; /* told what a slow driver is asked; NULL: nobody is */
	void *asking_context;
	char *note;
	char *command;
	int64_t hold_ms; /* for how long it will be held; 0: not known */
	int place;       /* the descriptor that carries it; -1: one of its own */
	int64_t keep_s;  /* how long things are kept for who waits; 0: the usual half hour */
};

struct gpualloc_lease {
	struct ga_store store; /* of its own, so that the caller's may go */
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
