/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stays the parent of a job until the last of its processes has ended, including daemons and those
 * that closed every descriptor: this process adopts them. While it stays, so does the lease that it
 * holds.
 */
#ifndef GA_LAUNCH_SUPERVISE_H
#define GA_LAUNCH_SUPERVISE_H

#include "error.h"

struct ga_supervision {
	int64_t time_limit_ms; /* 0: none */
	gpualloc_supervise_function *tell;
	void *context;
};

/* As gpualloc_program_supervise() in the public header. */
int ga_supervise(const char *path, char *const *arguments, char *const *environment,
		 const struct ga_supervision *how, int *ret_status, gpualloc_error *error);

#endif
