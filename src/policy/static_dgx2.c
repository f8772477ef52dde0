/* SPDX-License-Identifier: Apache-2.0 */
/* static-dgx2: the fixed sets of a DGX-2, neighbours by number. */
#include "fixed_sets.h"

static const uint8_t all[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static const struct ga_fixed_size sizes[] = {
	{1, 16, all}, {2, 8, all}, {4, 4, all}, {8, 2, all}, {16, 1, all},
};

static const struct ga_fixed_sets sets = {
	.policy = "static-dgx2",
	.device_count = 16,
	.sizes = sizes,
	.size_count = sizeof sizes / sizeof *sizes,
};

static int choose(const struct ga_question *question, struct ga_answer *ret_answer,
		  gpualloc_error *error)
{
	return ga_fixed_choose(&sets, question, ret_answer, error);
}

const struct ga_policy ga_policy_static_dgx2 = {
	.name = "static-dgx2",
	.description = "the fixed sets of a DGX-2",
	.by_topology = true,
	.choose = choose,
};
