/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the first of the best partitions. For each group in turn it takes the first group from
 * which the value can still be reached. A group grows by one vertex at a time, in order, as long as
 * the tree bound allows it. The vertices of a class are taken in order, so a class gives no more
 * once one of its vertices was passed over. Of classes that may change places, the first gives the
 * most. A whole group is right if the remaining vertices can reach the missing value. Swaps try
 * this first, and then the search.
 */
#include "search.h"

#include "cleanup.h"

#include <string.h>

struct walker {
	struct ga_part_search *search;
	int64_t value; /* the value that is still to be reached */
	/* how many of each class are left; these are always its last vertices */
	uint8_t counts[GA_PART_SEARCH_MAX];
	size_t total;
	uint16_t *group; /* the group of each vertex that has one */
	uint16_t number; /* the number of the group that grows */
	/* The group that grows: how many it has of each class, and which classes give no more. */
	uint8_t taken[GA_PART_SEARCH_MAX];
	bool closed[GA_PART_SEARCH_MAX];
	uint8_t runs[GA_PART_SEARCH_MAX];
	size_t filled;
	int64_t room;
};

static bool is_left(const struct walker *walker, size_t vertex)
{
	const struct ga_part_classes *classes = &walker->search->classes;
	size_t class = classes->of[vertex];
	size_t gone = (size_t)(classes->size[class] - walker->counts[class]);

	for (size_t i = gone + walker->taken[class]; i < classes->size[class]; i++)
		if (classes->members[classes->first[class] + i] == vertex)
			return true;
	return false;
}

/* ---- whether a group may still become one ---- */

/*
 * Sets how many vertices of each class the group can take, with all required vertices or with none.
 */
static void set_limits(const struct walker *walker, bool required, uint8_t *low, uint8_t *high)
{
	const struct ga_part_classes *classes = &walker->search->classes;

	for (size_t c = 0; c < classes->count; c++) {
		low[c] = walker->taken[c];
		high[c] = walker->closed[c] ? walker->taken[c] : walker->counts[c];
		if (classes->required[c] && required)
			low[c] = walker->counts[c];
		if (classes->required[c] && !required)
			high[c] = 0;
	}
}

/*
 * Whether there may be a group of size vertices within the limits. True if nothing is known against
 * it.
 */
static bool allows(const struct walker *walker, const struct ga_part_taking *taking, size_t size)
{
	const struct ga_part_search *search = walker->search;
	size_t least = 0, most = 0;

	for (size_t c = 0; c < search->classes.count; c++) {
		if (taking->low[c] > taking->high[c])
			return false;
		least += taking->low[c];
		most += taking->high[c];
	}
	return least <= size && size <= most &&
	       (!search->bound.tree || ga_part_bound_allows(&search->bound, taking, size));
}

static bool may_become(const struct walker *walker, bool required)
{
	const size_t size = walker->search->problem->size, rest = walker->total % size;
	uint8_t low[GA_PART_SEARCH_MAX], high[GA_PART_SEARCH_MAX];
	const struct ga_part_taking taking = {walker->counts, low, high, walker->room};

	set_limits(walker, required, low, high);
	return allows(walker, &taking, size) ||
	       (rest > 0 && !required && allows(walker, &taking, rest));
}

static bool may_go_on(struct walker *walker)
{
	struct ga_part_search *search = walker->search;

	if (++search->steps > search->budget)
		search->exhausted = true;
	if (search->exhausted)
		return false;
	return may_become(walker, false) ||
	       (ga_part_search_has_required(search, walker->counts) && may_become(walker, true));
}

/* Whether another class of the same run was closed after it had given as many vertices. */
static bool comes_too_late(const struct walker *walker, size_t class)
{
	for (size_t c = 0; c < walker->search->classes.count; c++)
		if (walker->closed[c] && walker->runs[c] == walker->runs[class] &&
		    walker->taken[c] == walker->taken[class])
			return true;
	return false;
}

/* ---- whether the rest is good enough ---- */

/*
 * The value that swaps reach with the vertices that are in no group. Returns 0 if there is no
 * memory.
 */
static int64_t try_swaps(struct walker *walker, size_t left, int64_t need)
{
	struct ga_part_search *search = walker->search;
	const struct ga_part_problem *problem = search->problem;
	ga_auto_free int32_t *weights = calloc(left, left * sizeof *weights);
	ga_auto_free uint16_t *group = calloc(left, sizeof *group);
	size_t vertices[GA_PART_SEARCH_MAX], required[GA_PART_SEARCH_MAX], count = 0;
	struct ga_part_problem part = {
		.count = left, .size = problem->size, .weights = weights, .required = required};
	struct ga_part_result partition = {.group = group};

	if (!weights || !group) {
		search->exhausted = search->no_memory = true;
		return 0;
	}
	for (size_t i = 0; i < problem->count; i++) {
		if (walker->group[i] != GA_PART_NO_GROUP)
			continue;
		if (search->classes.required[search->classes.of[i]])
			required[part.required_count++] = count;
		vertices[count++] = i;
	}
	for (size_t i = 0; i < left; i++)
		for (size_t j = 0; j < left; j++)
			weights[i * left + j] = ga_part_weight(problem, vertices[i], vertices[j]);
	if (!ga_part_by_swaps(&part, need, search->looks / 4, &partition)) {
		search->exhausted = search->no_memory = true;
		return 0;
	}
	return partition.value;
}

static bool reaches(struct walker *walker, const uint8_t *rest, size_t left, int64_t need)
{
	struct ga_part_search *search = walker->search;
	bool required = ga_part_search_has_required(search, rest);
	uint8_t form[GA_PART_SEARCH_MAX];
	const struct ga_part_memo_entry *known;

	memcpy(form, rest, search->classes.count);
	ga_part_symmetry_apply(ga_part_search_symmetry(search, required), form);
	known = ga_part_memo_find(&search->memo, form);
	if (known && known->high < need)
		return false;
	if (left > search->problem->size && ga_part_bound_of(&search->bound, form, left) < need)
		return false;
	if (left > search->problem->size && !(known && known->low >= need) &&
	    try_swaps(walker, left, need) >= need)
		return true;
	return !search->exhausted && ga_part_search_solve(search, form, left, need, need) >= need &&
	       !search->exhausted;
}

/* Called for a whole group. The group is right if the rest reaches the missing value. */
static bool settle(struct walker *walker)
{
	const size_t count = walker->search->classes.count;
	int64_t need = walker->value - ga_part_search_weight(walker->search, walker->taken);
	size_t left = walker->total - walker->filled;
	uint8_t rest[GA_PART_SEARCH_MAX];

	walker->search->transitions++;
	for (size_t c = 0; c < count; c++)
		rest[c] = (uint8_t)(walker->counts[c] - walker->taken[c]);
	if (!reaches(walker, rest, left, need))
		return false;
	memcpy(walker->counts, rest, count);
	walker->total = left;
	walker->value = need;
	return true;
}

/* ---- growing ---- */

static void put(struct walker *walker, size_t vertex, bool in)
{
	size_t class = walker->search->classes.of[vertex];

	walker->group[vertex] = in ? walker->number : GA_PART_NO_GROUP;
	walker->taken[class] = (uint8_t)(in ? walker->taken[class] + 1 : walker->taken[class] - 1);
	walker->filled = in ? walker->filled + 1 : walker->filled - 1;
}

/* Whether the group may be the short one, which must not hold required vertices. */
static bool may_be_short(const struct walker *walker)
{
	const struct ga_part_classes *classes = &walker->search->classes;
	const size_t rest = walker->total % walker->search->problem->size;

	for (size_t c = 0; c < classes->count; c++)
		if (classes->required[c] && walker->taken[c] > 0)
			return false;
	return rest > 0 && walker->filled == rest;
}

/*
 * Completes the group with vertices from this one on. If that is impossible, the group is left
 * unchanged.
 */
static bool grow(struct walker *walker, size_t vertex)
{
	const struct ga_part_search *search = walker->search;
	bool closed[GA_PART_SEARCH_MAX];

	if (walker->filled == search->problem->size)
		return settle(walker);
	memcpy(closed, walker->closed, sizeof closed);
	for (; vertex < search->problem->count; vertex++) {
		size_t class = search->classes.of[vertex];

		if (walker->closed[class] || !is_left(walker, vertex))
			continue;
		if (!comes_too_late(walker, class)) {
			put(walker, vertex, true);
			if (may_go_on(walker) && grow(walker, vertex + 1))
				return true;
			put(walker, vertex, false);
		}
		/* Every group must begin with the first vertex that is left. */
		if (walker->filled == 0)
			return false;
		walker->closed[class] = true;
		if (!may_go_on(walker))
			break;
	}
	memcpy(walker->closed, closed, sizeof closed);
	return may_be_short(walker) && !search->exhausted && settle(walker);
}

static bool find_group(struct walker *walker)
{
	struct ga_part_search *search = walker->search;

	memset(walker->taken, 0, sizeof walker->taken);
	memset(walker->closed, 0, sizeof walker->closed);
	walker->filled = 0;
	ga_part_search_find_runs(search, walker->counts, walker->runs);
	if (search->bound.tree)
		walker->room = ga_part_bound_room(&search->bound, walker->counts, walker->total,
						  walker->value);
	return grow(walker, 0) && !search->exhausted;
}

bool ga_part_search_walk(struct ga_part_search *search, int64_t value, uint16_t *group)
{
	const struct ga_part_classes *classes = &search->classes;
	uint16_t found[GA_PART_SEARCH_MAX];
	struct walker walker = {
		.search = search, .value = value, .total = search->problem->count, .group = found};

	memset(found, GA_PART_NO_GROUP_BYTE, sizeof found);
	memcpy(walker.counts, classes->size, classes->count);
	for (; walker.total > search->problem->size; walker.number++)
		if (!find_group(&walker))
			return false;
	for (size_t i = 0; i < search->problem->count; i++)
		group[i] = found[i] == GA_PART_NO_GROUP ? walker.number : found[i];
	return true;
}
