/* SPDX-License-Identifier: Apache-2.0 */
/* What `--gpualloc=N[:POLICY[:MEMORY]][,share][,mig[=PROFILE]]` asks for. */
#ifndef SLURM_ASKED_H
#define SLURM_ASKED_H

#include <gpualloc/gpualloc.h>
#include <stdbool.h>

enum { ASKED_WORD = 64, ASKED_MOST = 4096 };

struct asked {
	int64_t count;           /* devices on each node; 0 if this step wants none */
	char policy[ASKED_WORD]; /* "" for the default */
	int64_t memory;          /* bytes each must have free; -1 for any */
	bool share;              /* only that much of each */
	bool mig;                /* instances instead of whole GPUs */
	char profile[ASKED_WORD];
};

/*
 * 0, or GPUALLOC_EUSAGE with a sentence. Refuses every mistake that shows without a machine, so
 * that it is refused before a job is submitted.
 */
int asked_read(const char *text, struct asked *ret_asked, char *sentence, size_t size);

/* The request; *ret_policy lives as long as the request and may be NULL. The caller frees both. */
int asked_request(const struct asked *asked, gpualloc_request **ret_request,
		  gpualloc_policy **ret_policy, gpualloc_error *error);

#endif
