/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first of the best partitions: group by group, the first group from which the value can still
 * be reached. Of groups that a symmetry turns into each other only the first is asked for: of each
 * class the lowest devices, and within a run the pieces go to classes as they come first.
 */
#include "partition_search.h"

#include "cleanup.h"

#include <string.h>

enum { NO_DEVICE = 255 };

struct walker {
	struct ga_search *search;
	uint8_t counts[GA_SEARCH_MAX]; /* left of each class: always its last devices */
	size_t total;
};

/* A group with its option: what is taken of each class, and the devices, NO_DEVICE behind them. */
struct step {
	int64_t weight;
	uint8_t *taken;
	uint8_t *devices;
};

/* Where the pieces of a run, by size, still have to go. */
struct pieces {
	uint16_t at[GA_SEARCH_MAX];                                  /* of a run, into the others */
	uint8_t there[2 * GA_SEARCH_MAX], wanted[2 * GA_SEARCH_MAX]; /* of this size and larger */
};

static void lay_out(const struct walker *walker, const uint8_t *runs, const uint8_t *taken,
		    struct pieces *pieces)
{
	size_t places = 0;

	memset(pieces->there, 0, sizeof pieces->there);
	memset(pieces->wanted, 0, sizeof pieces->wanted);
	for (size_t c = 0; c < walker->search->classes.count; c++) {
		if (runs[c] == c) {
			pieces->at[c] = (uint16_t)places;
			places += walker->counts[c] + 1U;
		}
		for (size_t x = 1; x <= taken[c]; x++)
			pieces->there[pieces->at[runs[c]] + x]++;
	}
}

/*
 * Devices in order: each is taken if the pieces allow its class one more. Where they do not, the
 * class has its piece. taken changes from the option's to this assignment.
 */
static void assign(const struct walker *walker, const uint8_t *runs, size_t size, uint8_t *taken,
		   uint8_t *devices)
{
	const struct ga_classes *classes = &walker->search->classes;
	bool closed[GA_SEARCH_MAX] = {false};
	struct pieces pieces;
	size_t filled = 0;

	lay_out(walker, runs, taken, &pieces);
	memset(taken, 0, classes->count);
	for (size_t device = 0; device < walker->search->problem->count && filled < size;
	     device++) {
		size_t c = classes->of[device];
		size_t gone = (size_t)(classes->size[c] - walker->counts[c]) + taken[c];
		uint8_t *there = pieces.there + pieces.at[runs[c]];
		uint8_t *wanted = pieces.wanted + pieces.at[runs[c]];

		if (closed[c] || gone >= classes->size[c] ||
		    classes->members[classes->first[c] + gone] != device)
			continue;
		if (wanted[taken[c] + 1] < there[taken[c] + 1]) {
			wanted[++taken[c]]++;
			devices[filled++] = (uint8_t)device;
			continue;
		}
		closed[c] = true;
		for (size_t x = 1; x <= taken[c]; x++) {
			there[x]--;
			wanted[x]--;
		}
	}
}

static int compare_steps(const void *a, const void *b, void *size)
{
	const struct step *left = a, *right = b;

	return memcmp(left->devices, right->devices, *(const size_t *)size);
}

/* Makes steps of options; both lists of each lie behind the steps, in one piece. */
static struct step *list_steps(const struct walker *walker, const struct ga_options *options,
			       const uint8_t *runs)
{
	const struct ga_search *search = walker->search;
	size_t classes = search->classes.count, size = search->problem->size;
	struct step *steps = malloc(options->count * (sizeof *steps + classes + size) + 1);
	uint8_t *lists = (uint8_t *)(steps + options->count);

	if (!steps)
		return NULL;
	for (size_t i = 0; i < options->count; i++, lists += classes + size) {
		const struct ga_option *option = ga_option_at(search, options->begin, i);
		size_t members = 0;

		steps[i] = (struct step){option->weight, lists, lists + classes};
		memcpy(steps[i].taken, option->taken, classes);
		memset(steps[i].devices, NO_DEVICE, size);
		for (size_t c = 0; c < classes; c++)
			members += option->taken[c];
		assign(walker, runs, members, steps[i].taken, steps[i].devices);
	}
	qsort_r(steps, options->count, sizeof *steps, compare_steps, &size);
	return steps;
}

/* All groups for the class of the first device that is left, with and without the required. */
static void expand(const struct walker *walker, int64_t need, struct ga_options *ret_options)
{
	struct ga_search *search = walker->search;
	const struct ga_classes *classes = &search->classes;
	struct ga_expansion expansion = {
		.counts = walker->counts, .total = walker->total, .need = need};
	size_t first = NO_DEVICE;
	struct ga_options with = {0};

	for (size_t c = 0; c < classes->count; c++) {
		size_t next = walker->counts[c] == 0
				      ? NO_DEVICE
				      : classes->members[classes->first[c] + classes->size[c] -
							 walker->counts[c]];

		if (next < first) {
			first = next;
			expansion.pivot = c;
		}
	}
	*ret_options = (struct ga_options){.begin = search->options_used};
	if (!classes->required[expansion.pivot])
		ga_search_expand(search, &expansion, ret_options);
	if (search->exhausted || !ga_search_has_required(search, walker->counts))
		return;
	expansion.take_required = true;
	if (classes->required[expansion.pivot])
		expansion.pivot = GA_NO_CLASS;
	ga_search_expand(search, &expansion, &with);
	ret_options->count += with.count;
}

/* Whether the value can be reached with this step; if so it is made. */
static bool make_step(struct walker *walker, const struct step *step, int64_t value)
{
	struct ga_search *search = walker->search;
	uint8_t rest[GA_SEARCH_MAX];
	size_t left = 0;

	for (size_t c = 0; c < search->classes.count; c++) {
		rest[c] = (uint8_t)(walker->counts[c] - step->taken[c]);
		left += rest[c];
	}
	ga_symmetry_apply(ga_search_symmetry(search, ga_search_has_required(search, rest)), rest);
	value -= step->weight;
	if (ga_search_solve(search, rest, left, value, value) < value || search->exhausted)
		return false;
	for (size_t c = 0; c < search->classes.count; c++)
		walker->counts[c] = (uint8_t)(walker->counts[c] - step->taken[c]);
	walker->total = left;
	return true;
}

/* The first group from which the value can be reached; what remains of it, or -1. */
static int64_t walk_on(struct walker *walker, int64_t value, uint16_t number, uint16_t *group)
{
	struct ga_search *search = walker->search;
	uint8_t runs[GA_SEARCH_MAX];
	struct ga_options options;
	ga_auto_free struct step *steps = NULL;
	int64_t left = -1;

	expand(walker, value, &options);
	ga_search_find_runs(search, walker->counts, runs);
	if (!search->exhausted)
		steps = list_steps(walker, &options, runs);
	search->options_used = options.begin;
	if (!steps && !search->exhausted)
		search->exhausted = search->no_memory = true;
	for (size_t i = 0; steps && i < options.count && !search->exhausted; i++) {
		if (!make_step(walker, &steps[i], value))
			continue;
		left = value - steps[i].weight;
		for (size_t d = 0; d < search->problem->size; d++)
			if (steps[i].devices[d] != NO_DEVICE)
				group[steps[i].devices[d]] = number;
		break;
	}
	return left;
}

bool ga_search_walk(struct ga_search *search, int64_t value, uint16_t *group)
{
	const struct ga_classes *classes = &search->classes;
	struct walker walker = {.search = search, .total = search->problem->count};
	uint16_t found[GA_SEARCH_MAX], number = 0;

	memcpy(walker.counts, classes->size, classes->count);
	for (; walker.total > search->problem->size; number++) {
		value = walk_on(&walker, value, number, found);
		if (value < 0)
			return false;
	}
	for (size_t c = 0; c < classes->count; c++)
		for (size_t i = 0; i < walker.counts[c]; i++)
			found[classes->members[classes->first[c] + classes->size[c] - 1U - i]] =
				number;
	memcpy(group, found, search->problem->count * sizeof *found);
	return true;
}
