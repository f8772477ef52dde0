/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the value by branch and bound; see search.h. */
#include "search.h"

#include "cleanup.h"

#include <string.h>

/* No partition is worth this much. */
static const int64_t unreachable = GA_PART_UNBOUNDED / 2;

enum {
	DEFAULT_BUDGET = 43000, /* about 10 ms; answers that take longer stay unproven */
	LOOKS_A_STEP = 10,      /* looks of swaps: they are cheap, but they prove nothing */
	LOOKS_A_PAIR = 400,
};

/* ---- options, the most promising first ---- */

struct ranked {
	int64_t most;
	uint32_t place;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *left = a, *right = b;

	if (left->most != right->most)
		return left->most > right->most ? -1 : 1;
	return left->place < right->place ? -1 : left->place > right->place;
}

static struct ranked *rank_options(struct ga_part_search *search,
				   const struct ga_part_options *options)
{
	struct ranked *ranked = malloc((options->count + 1) * sizeof *ranked);

	if (!ranked) {
		search->exhausted = search->no_memory = true;
		return NULL;
	}
	for (size_t i = 0; i < options->count; i++)
		ranked[i] = (struct ranked){ga_part_option_at(search, options->begin, i)->most,
					    (uint32_t)i};
	qsort(ranked, options->count, sizeof *ranked, compare_ranked);
	return ranked;
}

/* ---- states ---- */

static struct ga_part_memo_entry *recall(struct ga_part_search *search, const uint8_t *counts,
					 size_t total)
{
	struct ga_part_memo_entry *entry = ga_part_memo_find(&search->memo, counts);

	if (!entry)
		entry = ga_part_memo_get(&search->memo, counts, GA_PART_NOTHING,
					 ga_part_bound_of(&search->bound, counts, total));
	if (!entry) {
		search->exhausted = true;
		search->no_memory = search->memo.no_memory;
	}
	return entry;
}

/*
 * The class that the first group must take from: the first in the layout that has vertices left. In
 * a sorted run, this is the class with the most.
 */
static size_t pick_pivot(const struct ga_part_search *search, const uint8_t *counts)
{
	const struct ga_part_symmetry *symmetry = ga_part_search_symmetry(search, false);
	size_t i = 0;

	while (counts[symmetry->layout[i]] == 0)
		i++;
	return symmetry->layout[i];
}

struct outcome {
	int64_t best;  /* the best value found, or GA_PART_NOTHING */
	int64_t upper; /* no value that was not found is higher than this */
};

/* Tries one option after another, until stop is reached or the rest cannot be better. */
static void try_options(struct ga_part_search *search, const uint8_t *counts, size_t total,
			const struct ga_part_options *options, int64_t need, int64_t stop,
			struct outcome *outcome)
{
	ga_auto_free struct ranked *ranked = rank_options(search, options);
	uint8_t rest[GA_PART_SEARCH_MAX];

	for (size_t i = 0; i < options->count && !search->exhausted; i++) {
		const struct ga_part_option *option =
			ga_part_option_at(search, options->begin, ranked[i].place);
		const int64_t weight = option->weight;
		size_t left = total;
		int64_t value;

		if (ranked[i].most < need) {
			if (ranked[i].most > outcome->upper)
				outcome->upper = ranked[i].most;
			return;
		}
		for (size_t c = 0; c < search->classes.count; c++) {
			rest[c] = (uint8_t)(counts[c] - option->taken[c]);
			left -= option->taken[c];
		}
		ga_part_symmetry_apply(
			ga_part_search_symmetry(search, ga_part_search_has_required(search, rest)),
			rest);
		value = weight +
			ga_part_search_solve(search, rest, left, need - weight, stop - weight);
		if (value < need) {
			if (value > outcome->upper)
				outcome->upper = value;
			continue;
		}
		outcome->best = value;
		need = value + 1;
		if (value >= stop)
			return;
	}
}

/* The value of the last group. The short group must not hold required vertices. */
static int64_t weigh_last(const struct ga_part_search *search, const uint8_t *counts, size_t total)
{
	if (total < search->problem->size && ga_part_search_has_required(search, counts))
		return -GA_PART_UNBOUNDED;
	return ga_part_search_weight(search, counts);
}

int64_t ga_part_search_solve(struct ga_part_search *search, const uint8_t *counts, size_t total,
			     int64_t need, int64_t stop)
{
	const struct ga_part_memo_entry *known;
	struct ga_part_memo_entry *entry;
	struct ga_part_expansion expansion = {
		.counts = counts, .total = total, .pivot = GA_PART_NO_CLASS};
	struct ga_part_options options;
	struct outcome outcome;

	if (total <= search->problem->size)
		return weigh_last(search, counts, total);
	known = recall(search, counts, total);
	if (!known || known->high < need)
		return known ? known->high : GA_PART_UNBOUNDED;
	if (known->low >= stop || known->low == known->high)
		return known->low;
	outcome = (struct outcome){.best = known->low, .upper = GA_PART_NOTHING};
	expansion.need = need > known->low ? need : known->low + 1;
	expansion.take_required = ga_part_search_has_required(search, counts);
	if (!expansion.take_required)
		expansion.pivot = pick_pivot(search, counts);
	ga_part_search_expand(search, &expansion, &options);
	outcome.upper = options.pruned;
	try_options(search, counts, total, &options, expansion.need, stop, &outcome);
	search->options_used = options.begin;
	entry = search->exhausted ? NULL : ga_part_memo_find(&search->memo, counts);
	if (!entry)
		return GA_PART_UNBOUNDED;
	/* The entry existed before, so its bounds may only get tighter. */
	if (outcome.best > entry->low)
		entry->low = outcome.best;
	if (outcome.best < stop) {
		int64_t high = outcome.upper > entry->low ? outcome.upper : entry->low;

		entry->high = high < entry->high ? high : entry->high;
	}
	return entry->low >= need ? entry->low : entry->high;
}

/* ---- the whole ---- */

bool ga_part_search_begin(struct ga_part_search *search, const struct ga_part_problem *problem,
			  bool alike)
{
	const size_t align = _Alignof(struct ga_part_option);
	struct ga_part_classes *classes = &search->classes;

	search->problem = problem;
	search->budget = problem->budget ? problem->budget : DEFAULT_BUDGET;
	search->looks = (uint64_t)ga_part_pairs(problem->count) * LOOKS_A_PAIR;
	if (search->looks > search->budget * LOOKS_A_STEP)
		search->looks = search->budget * LOOKS_A_STEP;
	if (!ga_part_classes_init(classes, problem, alike))
		return false;
	ga_part_symmetry_find(&search->symmetries[0], classes, false);
	if (classes->any_required)
		ga_part_symmetry_find(&search->symmetries[1], classes, true);
	ga_part_memo_init(&search->memo, classes->count);
	search->option_size =
		(sizeof(struct ga_part_option) + classes->count + align - 1) / align * align;
	search->least = calloc(classes->count + 1, (problem->size + 1) * sizeof *search->least);
	return search->least && ga_part_bound_init(&search->bound, classes, problem);
}

void ga_part_search_finish(struct ga_part_search *search)
{
	ga_part_classes_free(&search->classes);
	ga_part_bound_free(&search->bound);
	ga_part_memo_free(&search->memo);
	free(search->options);
	free(search->least);
}

int64_t ga_part_search_value(struct ga_part_search *search, int64_t known)
{
	const size_t total = search->problem->count;
	uint8_t root[GA_PART_SEARCH_MAX];
	int64_t value;

	memcpy(root, search->classes.size, search->classes.count);
	ga_part_symmetry_apply(ga_part_search_symmetry(search, search->classes.any_required), root);
	value = ga_part_search_solve(search, root, total, known + 1, unreachable);
	return !search->exhausted && value > known ? value : known;
}

static bool run(struct ga_part_search *search, struct ga_part_result *partition)
{
	const struct ga_part_problem *problem = search->problem;
	const uint8_t *sizes = search->classes.size;
	int64_t bound = ga_part_bound_of(&search->bound, sizes, problem->count), value;

	if (!ga_part_by_swaps(problem, bound, 0, partition))
		return false;
	if (search->bound.tree && partition->value < bound) {
		ga_part_bound_tighten(&search->bound, problem, partition->group);
		bound = ga_part_bound_of(&search->bound, sizes, problem->count);
	}
	if (partition->value < bound && !ga_part_by_swaps(problem, bound, search->looks, partition))
		return false;
	value = partition->value;
	if (value < bound)
		value = ga_part_search_value(search, value);
	partition->bound = search->exhausted ? bound : value;
	/* Only the walk finds out which of the best partitions is the first. */
	if (!search->exhausted && ga_part_search_walk(search, value, partition->group))
		partition->value = value;
	partition->proven = partition->value == partition->bound;
	partition->transitions = search->transitions;
	return !search->no_memory;
}

bool ga_part_by_search(const struct ga_part_problem *problem, bool alike,
		       struct ga_part_result *partition)
{
	struct ga_part_search *search = calloc(1, sizeof *search);
	bool good;

	if (!search)
		return false;
	good = ga_part_search_begin(search, problem, alike) && run(search, partition);
	ga_part_search_finish(search);
	free(search);
	return good;
}
