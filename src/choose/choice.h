/* SPDX-License-Identifier: Apache-2.0 */
/* A choice and what explains it. */
#ifndef GA_CHOOSE_CHOICE_H
#define GA_CHOOSE_CHOICE_H

#include "select.h"

struct gpualloc_alternative {
	const gpualloc_device **devices;
	size_t count;
	int64_t value; /* its value to the policy; GA_UNKNOWN if that maximises nothing */
	int64_t score;
	int64_t bandwidth;
};

enum { GA_ALTERNATIVES_MAX = 5 };

struct gpualloc_choice {
	const gpualloc_machine *machine;
	char *policy;
	const gpualloc_device **devices;
	size_t count;
	struct ga_answer answer; /* value, bound, proven, transitions; chosen is not kept */
	int64_t score;
	int64_t bandwidth;
	struct ga_selection selection;
	struct gpualloc_alternative alternatives[GA_ALTERNATIVES_MAX];
	size_t alternative_count;
};

void ga_choice_free(gpualloc_choice *choice);

/* What links make of want candidates. GPUALLOC_ENOMEM or 0. */
int ga_choice_measure(const struct ga_question *question, const size_t *chosen,
		      struct ga_worth *ret_worth);

#endif
