/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the driver's library, which is done in a child and nowhere else, and what the child says
 * on its standard output:
 *
 *   "#8 GPUs"       there are so many
 *   "@3 its name"   this is asked for next, of GPU 3; of -1 where it is no GPU's
 *   "+SIZE" bytes   what is known of the one GPU so far: a complete machine file
 *   "=SIZE" bytes   all of it
 *   "!STATUS …"     why there is no answer
 *
 * What comes behind the last two counts for nothing.
 */
#ifndef GA_SOURCE_NVML_ANSWER_H
#define GA_SOURCE_NVML_ANSWER_H

#include "library.h"
#include "source.h"

enum { GA_NVML_DOING_SIZE = 64 };

/* A GPU that is not to be asked, and where it is as far as that is known. */
struct ga_nvml_skipped {
	bool skip;
	char pci[20];
};

struct ga_nvml_question {
	const struct ga_source_request *request;
	int64_t only;                          /* this GPU alone, without its pairs; -1: all */
	const struct ga_nvml_skipped *skipped; /* skipped_count of them, by index */
	size_t skipped_count;
};

/* The work of a child, for ga_child_start(); context is a struct ga_nvml_question. */
int ga_nvml_answer(void *context, int out);
/* The part of it that asks: a machine of what a library answers that was initialised. out: as
 * above. */
int ga_nvml_build(const struct ga_nvml *nvml, const struct ga_nvml_question *question, int out,
		  gpualloc_machine **ret_machine, gpualloc_error *error);

#endif
