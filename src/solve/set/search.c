/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the way to search by how many sets there are; see search.h. */
#include "search.h"

#include "cleanup.h"
#include "error.h"

/* This takes about 2 ms, and is enough for all 12,870 sets of 8 out of 16. */
static const uint64_t default_budget = 2000000;

void ga_set_found_free(struct ga_set_found *found)
{
	free(found->set);
	*found = (struct ga_set_found){0};
}

bool ga_set_rank_better(const struct ga_set_rank *a, const struct ga_set_rank *b)
{
	if (a->value != b->value)
		return a->value > b->value;
	if (a->sum != b->sum)
		return a->sum > b->sum;
	if (a->nodes != b->nodes)
		return a->nodes < b->nodes;
	return a->loss < b->loss;
}

int ga_set_search_run(const struct ga_set_search *search, struct ga_set_found *ret_found)
{
	uint64_t budget = search->budget ? search->budget : default_budget;
	uint64_t limit = budget / (search->cost ? search->cost : 1) + 1, sets = 0;
	ga_auto_set_plan struct ga_set_plan plan = {0};
	ga_auto_set_found struct ga_set_found found = {.bound = search->bound};
	int result = ga_set_plan_init(search, &plan);

	found.set = calloc(search->want + 1, sizeof *found.set);
	if (result < 0 || !found.set)
		return GPUALLOC_ENOMEM;
	result = ga_set_plan_sets(search, &plan, limit, &sets);
	if (result == 0 && sets < limit) {
		result = ga_set_enumerate(search, &plan, &found);
		found.bound = found.rank.value;
	} else if (result == 0) {
		result = ga_set_local_search(search, &plan, budget, &found);
	}
	if (result < 0)
		return result;
	found.proven = found.rank.value >= found.bound;
	*ret_found = found;
	found = (struct ga_set_found){0};
	return 0;
}
