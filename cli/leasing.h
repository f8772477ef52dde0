/* SPDX-License-Identifier: Apache-2.0 */
/* From a request to a lease, with or without waiting, and the messages about it. */
#ifndef CLI_LEASING_H
#define CLI_LEASING_H

#include "buffer.h"
#include "command.h"

/* Checks the duration given to --wait. Returns 0, or after a message the exit status of the
 * mistake. */
int check_wait(const struct call *call);

/*
 * Leases as the options say; words are shown as the command. Returns 0, or after a message the exit
 * status of the failure. Ctrl-C while waiting ends this process.
 */
int acquire(const struct call *call, const gpualloc_store *store, const gpualloc_request *request,
	    char *const *words, gpualloc_lease **ret_lease);

/*
 * The same for a program that can be told to stop: waiting ends when stop can be read. If unkept is
 * set, nothing is kept for it while it waits. Signals end the waiting, not this process.
 */
int acquire_until(const struct call *call, const gpualloc_store *store,
		  const gpualloc_request *request, char *const *words, int stop, bool unkept,
		  gpualloc_lease **ret_lease);

/* "GPU 0,3", "MIG 1:7:0" */
void add_device_ids(struct ga_buffer *text, const gpualloc_device *const *devices, size_t count);

/* Lets what this process becomes or starts inherit a lease's descriptor, and tells it the number.
 * Returns 0, or after a message the exit status. */
int leasing_hand_on(int fd);

/* The line that say_lease() says. */
void leasing_line(struct ga_buffer *text, const gpualloc_lease *lease);
/* "dgx1-volta (simulated): 2 GPUs: 0,3 (Tesla V100-SXM2-16GB), lease 5f3a" on stderr. */
void say_lease(const gpualloc_lease *lease);

#endif
