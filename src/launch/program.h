/* SPDX-License-Identifier: Apache-2.0 */
/* A program: where it is, and becoming it. */
#ifndef GA_LAUNCH_PROGRAM_H
#define GA_LAUNCH_PROGRAM_H

#include "error.h"

/*
 * Where execvp() would find it: 0 and its path, which the caller frees, or
 * GPUALLOC_ENOTRUNNABLE, GPUALLOC_ENOTFOUND or GPUALLOC_ENOMEM. path is what PATH says, NULL where it says nothing.
 */
int ga_program_find(const char *name, const char *path, char **ret_path, gpualloc_error *error);

/* Becomes the program, or the shell that reads it. Only comes back, with an errno, when it fails.
 */
int ga_program_become(const char *path, char *const *arguments, char *const *environment);

/* The sentence and the status for an errno of ga_program_become(). */
int ga_program_refused(const char *path, int reason, gpualloc_error *error);

#endif
