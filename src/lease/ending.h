/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ending a lease before its time: the processes that have its descriptor, each held by a pidfd, are
 * asked to end and then killed. A pid that has passed to another process is never signalled, and
 * neither is this process or any that started it. Processes without the descriptor are left alone,
 * and so are other users': anybody can hand a descriptor to a process that only receives messages.
 */
#ifndef GA_LEASE_ENDING_H
#define GA_LEASE_ENDING_H

#include "holders.h"

struct gpualloc_holder {
	pid_t pid;
	int process; /* its pidfd; -1: it is never ended */
	int sent;    /* the last signal it was sent */
	enum gpualloc_holder_kind kind;
	char *command; /* NULL if we may not read it */
};

struct gpualloc_holders {
	struct ga_store store; /* its own copy, so the caller may free theirs */
	char id[GA_ID_TEXT];
	uint64_t number;
	int64_t user; /* whose lease it is; GA_UNKNOWN: nobody says, and several have it */
	struct gpualloc_holder *list;
	size_t count;
	size_t unseen; /* processes of other users that were not looked into to the end */
};

int ga_ending_read(const struct ga_store *store, const char *id, gpualloc_holders **ret_holders,
		   gpualloc_error *error);
void ga_ending_free(gpualloc_holders *holders);

/* Ends them, or the keepers alone; see gpualloc_holders_end(). */
int ga_ending_end(gpualloc_holders *holders, bool only_keepers, int64_t grace_ms,
		  gpualloc_error *error);

#endif
