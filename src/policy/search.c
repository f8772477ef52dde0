/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the way to search by how many sets there are; see search.h. */
#include "search.h"

#include "cleanup.h"

/* Some 2 ms. All 12,870 sets of 8 of 16 fit in. */
static const uint64_t default_budget = 2000000;

void ga_found_free(struct ga_found *found)
{
	free(found->set);
	*found = (struct ga_found){0};
}

bool ga_rank_better(const struct ga_rank *a, const struct ga_rank *b)
{
	if (a->value != b->value)
		return a->value > b->value;
	if (a->sum != b->sum)
		return a->sum > b->sum;
	if (a->nodes != b->nodes)
		return a->nodes < b->nodes;
	return a->loss < b->loss;
}

int ga_search_run(const struct ga_search *search, struct ga_found *ret_found)
{
	uint64_t budget = search->budget ? search->budget : default_budget;
	uint64_t limit = budget / (search->cost ? search->cost : 1) + 1, sets = 0;
	ga_auto_plan struct ga_plan plan = {0};
	ga_auto_found struct ga_found found = {.bound = search->bound};
	int result = ga_plan_init(search, &plan);

	found.set = calloc(search->want + 1, sizeof *found.set);
	if (result < 0 || !found.set)
		return GPUALLOC_ENOMEM;
	result = ga_plan_sets(search, &plan, limit, &sets);
	if (result == 0 && sets < limit) {
		result = ga_search_all(search, &plan, &found);
		found.bound = found.rank.value;
	} else if (result == 0) {
		result = ga_search_near(search, &plan, budget, &found);
	}
	if (result < 0)
		return result;
	found.proven = found.rank.value >= found.bound;
	*ret_found = found;
	found = (struct ga_found){0};
	return 0;
}
