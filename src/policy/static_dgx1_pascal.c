/* SPDX-License-Identifier: Apache-2.0 */
/* static-dgx1-pascal: the fixed sets of a DGX-1 with P100, pairs by PCIe switch. */
#include "fixed_sets.h"

static const uint8_t all[] = {0, 1, 2, 3, 4, 5, 6, 7};
static const uint8_t pairs[] = {0, 2, 1, 3, 4, 6, 5, 7};

static const struct ga_fixed_size sizes[] = {
	{1, 8, all},
	{2, 4, pairs},
	{4, 2, all},
	{8, 1, all},
};

static const struct ga_fixed_sets sets = {
	.policy = "static-dgx1-pascal",
	.device_count = 8,
	.sizes = sizes,
	.size_count = sizeof sizes / sizeof *sizes,
};

static int choose(const struct ga_question *question, struct ga_answer *ret_answer,
		  gpualloc_error *error)
{
	return ga_fixed_choose(&sets, question, ret_answer, error);
}

const struct ga_policy ga_policy_static_dgx1_pascal = {
	.name = "static-dgx1-pascal",
	.description = "the fixed sets of a DGX-1 with P100",
	.by_topology = true,
	.choose = choose,
};
