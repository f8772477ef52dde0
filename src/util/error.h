/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error object: a status and a sentence in a fixed buffer, so that reporting an error never
 * allocates. A message that is too long is cut, never refused.
 */
#ifndef GA_UTIL_ERROR_H
#define GA_UTIL_ERROR_H

#include <gpualloc/gpualloc.h>

enum { GA_ERROR_SIZE = 4096 };

struct gpualloc_error {
	int status;
	unsigned remedies; /* enum gpualloc_remedy */
	char message[GA_ERROR_SIZE];
};

/* Both return the error's status, so that a caller can write `return ga_error_set(…)`. */
int ga_error_set(gpualloc_error *error, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Puts context in front: "FILE: " before "devices[0]: expected an object". */
int ga_error_prefix(gpualloc_error *error, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Adds what may help to the error just set; returns status. Context put in front later keeps it. */
int ga_error_remedy(gpualloc_error *error, int status, unsigned remedies);
int ga_error_memory(gpualloc_error *error);
/* GPUALLOC_EUSAGE: a call was given NULL for something it needs. */
int ga_error_missing(gpualloc_error *error, const char *what);
/* As ga_error_set, with the text of errno at the end. */
int ga_error_errno(gpualloc_error *error, int status, int number, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
