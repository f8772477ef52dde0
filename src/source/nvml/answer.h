/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the driver's library, which only a child ever does, and what the child writes on its
 * standard output:
 *
 *   "#8 GPUs"       there are this many
 *   "@3 its name"   this is asked next, about GPU 3; -1 if it is not about a GPU
 *   "+SIZE" bytes   what is known about the one GPU so far: a complete machine file
 *   "=SIZE" bytes   the whole machine
 *   "!STATUS REMEDIES …"  why there is no answer
 *   "~a sentence"   why it takes so long; only from gpualloc-probe (probe.h), whose waiting this is
 *
 * Anything after a machine with "=" or after "!" is ignored.
 */
#ifndef GA_SOURCE_NVML_ANSWER_H
#define GA_SOURCE_NVML_ANSWER_H

#include "library.h"
#include "source.h"

enum { GA_NVML_DOING_SIZE = 64 };

/* Asked before any GPU; the machine does without it. */
#define GA_NVML_ASKS_VERSION "the driver's version"

/* A GPU that must not be asked, and where it is if that is known. */
struct ga_nvml_skipped {
	bool skip;
	char pci[20];
};

struct ga_nvml_question {
	const struct ga_source_request *request;
	int64_t only;                          /* this GPU alone, without its pairs; -1 for all */
	const struct ga_nvml_skipped *skipped; /* skipped_count of them, by index */
	size_t skipped_count;
	bool no_version; /* the driver is not asked for its version */
};

/*
 * A UUID names one device. If a GPU reports one that an earlier GPU has reported, it cannot
 * be leased by it: it loses its UUIDs and is unhealthy. 0 or GPUALLOC_ENOMEM.
 */
int ga_nvml_part_twins(gpualloc_machine *machine);

/* The work of a child, for ga_child_start(); context is a struct ga_nvml_question. */
int ga_nvml_answer(void *context, int out);
/* Both write to out; 0, or a negative status. */
int ga_nvml_say_machine(int out, char kind, const gpualloc_machine *machine, gpualloc_error *error);
int ga_nvml_say_error(int out, const gpualloc_error *error);
/* The part that asks: makes a machine of what an initialised library answers. out is as above. */
int ga_nvml_build(const struct ga_nvml *nvml, const struct ga_nvml_question *question, int out,
		  gpualloc_machine **ret_machine, gpualloc_error *error);

#endif
