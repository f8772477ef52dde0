/* SPDX-License-Identifier: Apache-2.0 */
/* Which engine solves a problem; see partition.h. */
#include "partition.h"

#include "partition_engine.h"

int64_t ga_partition_value(const struct ga_partition_problem *problem, const uint16_t *group)
{
	int64_t value = 0;

	for (size_t i = 0; i < problem->count; i++)
		for (size_t j = 0; j < i; j++)
			if (group[i] == group[j])
				value += ga_weight(problem, i, j);
	return value;
}

bool ga_partition_solve(const struct ga_partition_problem *problem, struct ga_partition *partition)
{
	return ga_partition_by_subsets(problem, partition);
}
