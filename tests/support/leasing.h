/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of leases: a store in a folder of their own, real processes, pipes instead of sleeps.
 */
#ifndef LEASING_H
#define LEASING_H

#include "test.h"

#include <gpualloc/gpualloc.h>

#include <sys/types.h>

/* A store for everybody, in a new folder. It is removed when the process that made it ends. */
const char *leasing_folder(void);
gpualloc_store *leasing_store(void);

/* Asks for count devices of a machine, waiting up to the time given; error may be NULL. */
int leasing_ask(gpualloc_store *store, const char *machine, int64_t count, int64_t wait_ms,
		gpualloc_lease **ret_lease, gpualloc_error *error);
/* Asks for that much memory of one device, named as for --only. */
int leasing_share(gpualloc_store *store, const char *machine, const char *only, int64_t bytes,
		  gpualloc_lease **ret_lease, gpualloc_error *error);

/* A child that leases count devices, reports it, and holds them until it is told to end. */
struct leasing_child {
	pid_t pid;
	int say;  /* a byte comes: 'y' leased, 'n' refused, 't' timed out */
	int tell; /* closed: it ends */
};
struct leasing_child leasing_hold(gpualloc_store *store, const char *machine, int64_t count,
				  int64_t wait_ms);
/* What it reports; 0 if it ended silently or says nothing for a minute. */
char leasing_said(const struct leasing_child *child);
/* Lets it end, or kills it, and waits until it is gone. */
void leasing_end(struct leasing_child *child);
void leasing_kill(struct leasing_child *child);

#endif
