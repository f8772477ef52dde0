/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides which engine solves a problem. If there are few subsets, which is known beforehand, it
 * tries all of them. Otherwise it searches over classes of vertices with bounds and a memo, which
 * proves the answers for real machines at once. If that search gives up, it falls back on subsets
 * unless there are too many. An answer that is still unproven comes from swaps, with a bound.
 */
#include "partition.h"

#include "classes.h"

enum {
	SUBSETS_CHEAP = 40000, /* transitions: a twentieth of a millisecond */
	/* one step of the search takes as long as this many transitions */
	STEP_COST = 100,
	SEARCH_LEAST = 1000, /* steps: setting up the search takes as long */
	/* up to this many transitions, subsets are faster than a search */
	SUBSETS_PLAIN = 4000000,
};

static const uint64_t subsets_affordable = UINT64_C(1) << 28; /* a third of a second */

int64_t ga_part_value(const struct ga_part_problem *problem, const uint16_t *group)
{
	int64_t value = 0;

	for (size_t i = 0; i < problem->count; i++)
		for (size_t j = 0; j < i; j++)
			if (group[i] == group[j])
				value += ga_part_weight(problem, i, j);
	return value;
}

void ga_part_number(const struct ga_part_problem *problem, uint16_t *group)
{
	uint16_t number_of[GA_PART_MAX], next = 0;

	for (size_t i = 0; i < problem->count; i++)
		number_of[i] = GA_PART_NO_GROUP;
	for (size_t i = 0; i < problem->count; i++) {
		if (number_of[group[i]] == GA_PART_NO_GROUP)
			number_of[group[i]] = next++;
		group[i] = number_of[group[i]];
	}
}

/* Solves the simple cases: groups of one vertex, or all vertices in one group. */
static void solve_directly(const struct ga_part_problem *problem, struct ga_part_result *partition)
{
	for (size_t i = 0; i < problem->count; i++)
		partition->group[i] = problem->size == 1 ? (uint16_t)i : 0;
	partition->value = ga_part_value(problem, partition->group);
	partition->bound = partition->value;
	partition->proven = true;
	partition->transitions = 0;
}

/*
 * Solves problems that are too large for the search: it uses swaps, and a bound that gives every
 * pair the best weight.
 */
static bool solve_many(const struct ga_part_problem *problem, struct ga_part_result *partition)
{
	const size_t rest = problem->count % problem->size;
	int64_t pairs = (int64_t)(problem->count / problem->size) * ga_part_pairs(problem->size) +
			(rest > 0 ? ga_part_pairs(rest) : 0);
	int32_t most = 0;

	for (size_t i = 0; i < problem->count * problem->count; i++)
		most = problem->weights[i] > most ? problem->weights[i] : most;
	partition->bound = pairs * most;
	if (!ga_part_by_swaps(problem, partition->bound, 0, partition))
		return false;
	partition->proven = partition->value == partition->bound;
	return true;
}

/* Whether hardly any two vertices are alike. Then the search cannot use classes. */
static bool is_irregular(const struct ga_part_problem *problem, bool *ret_irregular)
{
	struct ga_part_classes classes;
	bool good = ga_part_classes_init(&classes, problem, true);

	*ret_irregular = classes.count * 2 > problem->count;
	ga_part_classes_free(&classes);
	return good;
}

/*
 * Runs the search for as long as subsets would take. If it gives up, subsets follow, whose time is
 * known.
 */
static bool solve_either_way(const struct ga_part_problem *problem, uint64_t cost,
			     struct ga_part_result *partition)
{
	struct ga_part_problem brief = *problem;
	uint64_t tried;
	bool irregular;

	if (!is_irregular(problem, &irregular))
		return false;
	if (irregular && cost <= SUBSETS_PLAIN)
		return ga_part_by_subsets(problem, partition);

	brief.budget = cost / STEP_COST > SEARCH_LEAST ? cost / STEP_COST : SEARCH_LEAST;
	if (!ga_part_by_search(&brief, true, partition))
		return false;
	if (partition->proven)
		return true;
	tried = partition->transitions;
	if (!ga_part_by_subsets(problem, partition))
		return false;
	partition->transitions += tried;
	return true;
}

bool ga_part_solve(const struct ga_part_problem *problem, struct ga_part_result *partition)
{
	const uint64_t cost = ga_part_subsets_cost(problem->count, problem->size);
	const uint64_t budget = problem->budget ? problem->budget : subsets_affordable;

	if (problem->size == 1 || problem->size == problem->count) {
		solve_directly(problem, partition);
		return true;
	}
	if (cost <= SUBSETS_CHEAP && cost <= budget)
		return ga_part_by_subsets(problem, partition);
	if (cost <= budget && cost <= subsets_affordable)
		return solve_either_way(problem, cost, partition);
	if (problem->count <= GA_PART_SEARCH_MAX)
		return ga_part_by_search(problem, true, partition);
	return solve_many(problem, partition);
}
