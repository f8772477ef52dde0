/* SPDX-License-Identifier: Apache-2.0 */
/* A program: where it is, and becoming it. */
#ifndef GA_LAUNCH_PROGRAM_H
#define GA_LAUNCH_PROGRAM_H

#include "error.h"

/*
 * Where execvp() would find it: 0 and its path, which the caller frees, or GPUALLOC_ENOTRUNNABLE,
 * GPUALLOC_ENOTFOUND or GPUALLOC_ENOMEM. path is the value of PATH, or NULL if it is not set.
 */
int ga_program_find(const char *name, const char *path, char **ret_path, gpualloc_error *error);

/* Becomes the program, or the shell that reads it. Returns only on failure, with an errno. */
int ga_program_become(const char *path, char *const *arguments, char *const *environment);

/* Sets the message and returns the status for an errno of ga_program_become(). */
int ga_program_refused(const char *path, int reason, gpualloc_error *error);

#endif
