/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program finds in its environment: its devices under every name that CUDA, containers and
 * gpualloc itself look for. Each variable of ours is there exactly once, or not at all.
 */
#ifndef GA_LAUNCH_ENVIRONMENT_H
#define GA_LAUNCH_ENVIRONMENT_H

#include "machine.h"

struct ga_job {
	const gpualloc_machine *machine;
	const gpualloc_device *const *devices;
	size_t count;
	enum gpualloc_form form;
	const char *lease; /* its id; NULL where it runs without one */
	int fd;            /* the lease's descriptor, -1 where the program does not get it */
	int64_t memory;    /* bytes of each device, -1 where they are held whole */
	const char *spec;  /* the machine, where it was named; NULL keeps what was inherited */
};

/*
 * inherited's strings, less those that are ours, and ours behind them. One block, which the caller
 * frees with free(); inherited must live as long.
 */
int ga_environment_make(const struct ga_job *job, char *const *inherited, char ***ret_environment,
			gpualloc_error *error);

/* Whether NAME=VALUE is of those that tell of a lease: none of them names a program or a library.
 */
bool ga_environment_tells_of_lease(const char *entry);

#endif
