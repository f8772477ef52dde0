/* SPDX-License-Identifier: Apache-2.0 */
/* For the static policies: the fixed sets of a machine, by device index. */
#ifndef GA_POLICY_FIXED_SETS_H
#define GA_POLICY_FIXED_SETS_H

#include "policy.h"

enum { GA_FIXED_MAX = 16 };

/* Sets of one size, one after the other: devices holds size × count indices. */
struct ga_fixed_size {
	size_t size;
	size_t count;
	const uint8_t *devices;
};

struct ga_fixed_sets {
	const char *policy;
	size_t device_count; /* a machine with fewer is a different kind */
	const struct ga_fixed_size *sizes;
	size_t size_count;
};

int ga_fixed_choose(const struct ga_fixed_sets *sets, const struct ga_question *question,
		    struct ga_answer *ret_answer, gpualloc_error *error);

#endif
