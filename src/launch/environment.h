/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program's environment: its devices under every name that CUDA, containers and gpualloc itself
 * look for. Each of our variables is there exactly once, or not at all.
 */
#ifndef GA_LAUNCH_ENVIRONMENT_H
#define GA_LAUNCH_ENVIRONMENT_H

#include "machine.h"

struct ga_job {
	const gpualloc_machine *machine;
	const gpualloc_device *const *devices;
	size_t count;
	enum gpualloc_form form;
	const char *lease; /* its id; NULL without a lease */
	int fd;            /* the lease's descriptor; -1 if the program does not get it */
	int64_t memory;    /* bytes of each device; -1 if they are held whole */
	const char *spec;  /* the machine, if it was named; NULL keeps the inherited value */
};

/*
 * inherited's strings without our variables, followed by ours. It is one block, which the caller
 * frees with free(); inherited must outlive it.
 */
int ga_environment_make(const struct ga_job *job, char *const *inherited, char ***ret_environment,
			gpualloc_error *error);

/*
 * Whether NAME=VALUE is one of those that describe a lease: none of them names a program or a
 * library.
 */
bool ga_environment_tells_of_lease(const char *entry);

#endif
