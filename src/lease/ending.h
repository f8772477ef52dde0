/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ending a lease before its time: the processes that have its descriptor, each held by a pidfd, are
 * asked to end and then killed. A number that has become another process's is never signalled, and
 * nor is this process or one that started it. What does not have the descriptor is left alone.
 */
#ifndef GA_LEASE_ENDING_H
#define GA_LEASE_ENDING_H

#include "holders.h"

struct gpualloc_holder {
	pid_t pid;
	int process; /* its pidfd; -1 of those that are never ended */
	int sent;    /* the last signal that it was sent */
	enum gpualloc_holder_kind kind;
	char *command; /* NULL where it may not be read */
};

struct gpualloc_holders {
	struct ga_store store; /* of its own, so that the caller's may go */
	char id[GA_ID_TEXT];
	uint64_t number;
	struct gpualloc_holder *list;
	size_t count;
};

int ga_ending_read(const struct ga_store *store, const char *id, gpualloc_holders **ret_holders,
		   gpualloc_error *error);
void ga_ending_free(gpualloc_holders *holders);

/* Ends them, or the keepers alone; see gpualloc_holders_end(). */
int ga_ending_end(gpualloc_holders *holders, bool only_keepers, int64_t grace_ms,
		  gpualloc_error *error);

#endif
