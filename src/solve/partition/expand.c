/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists all groups that a state may begin with. A group is described by how many vertices it takes
 * of each class. If the tree bound is separable, the loss of a choice (the amount by which the
 * choice lowers the bound) is a sum over classes. Choices whose loss is too large are then never
 * made.
 */
#include "search.h"

#include <stdlib.h>
#include <string.h>

enum {
	LOSS_MAX = INT32_MAX / 4,
	FIRST_ROOM = 1 << 14,
	CHECK_EVERY = 2,
	CHECK_AHEAD = 6,
	CHECK_STEPS = 20
};

struct expander {
	struct ga_part_search *search;
	const struct ga_part_expansion *expansion;
	struct ga_part_options *options;
	size_t size;  /* of the group */
	size_t count; /* the number of classes to choose from; the pivot comes first */
	uint8_t class[GA_PART_SEARCH_MAX];
	/* an earlier class of the same run, or GA_PART_NO_CLASS */
	uint8_t like[GA_PART_SEARCH_MAX];
	/* where in losses the class begins: the loss of taking none, one, two … */
	uint16_t loss_at[GA_PART_SEARCH_MAX];
	int32_t losses[2 * GA_PART_SEARCH_MAX];
	int32_t lost_most;  /* the most that may be lost */
	int32_t lost_least; /* the least loss among choices that lost too much */
	bool nested;        /* levels above the last prune more, but cost time */
	/* the room that all levels leave, from ga_part_bound_room() */
	int64_t room;
	uint8_t taken[GA_PART_SEARCH_MAX];  /* the vertices taken, by class */
	uint8_t chosen[GA_PART_SEARCH_MAX]; /* the classes that have vertices in taken */
	size_t chosen_count;
};

bool ga_part_search_has_required(const struct ga_part_search *search, const uint8_t *counts)
{
	for (size_t c = 0; search->classes.any_required && c < search->classes.count; c++)
		if (search->classes.required[c])
			return counts[c] > 0;
	return false;
}

void ga_part_search_find_runs(const struct ga_part_search *search, const uint8_t *counts,
			      uint8_t *runs)
{
	const struct ga_part_symmetry *symmetry =
		ga_part_search_symmetry(search, ga_part_search_has_required(search, counts));

	for (size_t c = 0; c < search->classes.count; c++) {
		runs[c] = (uint8_t)c;
		for (size_t other = 0; other < c; other++)
			if (symmetry->block[other] == symmetry->block[c] &&
			    counts[other] == counts[c]) {
				runs[c] = (uint8_t)other;
				break;
			}
	}
}

int64_t ga_part_search_weight(const struct ga_part_search *search, const uint8_t *counts)
{
	const struct ga_part_classes *classes = &search->classes;
	int64_t weight = 0;

	for (size_t a = 0; a < classes->count; a++) {
		if (counts[a] == 0)
			continue;
		weight += ga_part_pairs(counts[a]) * ga_part_class_weight(classes, a, a);
		for (size_t b = 0; b < a; b++)
			weight += (int64_t)counts[a] * counts[b] *
				  ga_part_class_weight(classes, a, b);
	}
	return weight;
}

/* ---- emitting ---- */

static struct ga_part_option *append_option(struct ga_part_search *search)
{
	if (search->options_used + search->option_size > search->options_room) {
		size_t room = search->options_room ? 2 * search->options_room : FIRST_ROOM;
		char *options =
			room <= GA_PART_OPTION_BYTES_MAX ? realloc(search->options, room) : NULL;

		if (!options) {
			search->exhausted = true;
			search->no_memory = room <= GA_PART_OPTION_BYTES_MAX;
			return NULL;
		}
		search->options = options;
		search->options_room = room;
	}
	search->options_used += search->option_size;
	return (struct ga_part_option *)(void *)(search->options + search->options_used -
						 search->option_size);
}

static void emit(struct expander *e, int64_t weight)
{
	struct ga_part_search *search = e->search;
	const size_t left = e->expansion->total - e->size;
	uint8_t rest[GA_PART_SEARCH_MAX];
	struct ga_part_option *option;
	int64_t most;

	search->transitions++;
	for (size_t c = 0; c < search->classes.count; c++)
		rest[c] = (uint8_t)(e->expansion->counts[c] - e->taken[c]);
	most = weight + (left <= search->problem->size
				 ? ga_part_search_weight(search, rest)
				 : ga_part_bound_of(&search->bound, rest, left));
	if (most < e->expansion->need) {
		if (most > e->options->pruned)
			e->options->pruned = most;
		return;
	}
	option = append_option(search);
	if (!option)
		return;
	option->most = most;
	option->weight = weight;
	memcpy(option->taken, e->taken, search->classes.count);
	e->options->count++;
}

/* ---- choosing ---- */

static int32_t *least_row(const struct expander *e, size_t at)
{
	return e->search->least + at * (e->search->problem->size + 1);
}

static void take(struct expander *e, size_t class, size_t vertices)
{
	e->taken[class] = (uint8_t)vertices;
	e->chosen[e->chosen_count++] = (uint8_t) class;
}

static int64_t weight_to_chosen(const struct expander *e, size_t class)
{
	int64_t weight = 0;

	for (size_t i = 0; i < e->chosen_count; i++)
		weight += (int64_t)e->taken[e->chosen[i]] *
			  ga_part_class_weight(&e->search->classes, class, e->chosen[i]);
	return weight;
}

/*
 * Whether all levels together allow the choices so far, with any choice for the remaining classes.
 */
static bool is_allowed(const struct expander *e, size_t at)
{
	uint8_t high[GA_PART_SEARCH_MAX];
	const struct ga_part_taking taking = {e->expansion->counts, e->taken, high, e->room};

	e->search->steps += CHECK_STEPS;
	memcpy(high, e->taken, e->search->classes.count);
	for (; at < e->count; at++)
		high[e->class[at]] = e->expansion->counts[e->class[at]];
	return ga_part_bound_allows(&e->search->bound, &taking, e->size);
}

/* Tries each number of vertices of the class at this place. The group still needs left vertices. */
static void choose(struct expander *e, size_t at, size_t left, int64_t weight, int32_t lost)
{
	if (++e->search->steps > e->search->budget)
		e->search->exhausted = true;
	if (e->search->exhausted)
		return;
	if (left == 0) {
		emit(e, weight);
		return;
	}

	if (e->nested && at % CHECK_EVERY == 0 && e->count - at >= CHECK_AHEAD &&
	    !is_allowed(e, at)) {
		e->options->pruned = e->expansion->need - 1;
		return;
	}

	const size_t class = e->class[at];
	const int64_t pull = weight_to_chosen(e, class);
	const int64_t inside = ga_part_class_weight(&e->search->classes, class, class);
	const size_t least = at == 0 && e->expansion->pivot != GA_PART_NO_CLASS;
	size_t vertices = e->expansion->counts[class];

	vertices = vertices < left ? vertices : left;
	if (e->like[at] != GA_PART_NO_CLASS && e->taken[e->like[at]] < vertices)
		vertices = e->taken[e->like[at]];
	for (size_t i = vertices + 1; i-- > least;) {
		int32_t now = lost + e->losses[e->loss_at[at] + i];
		int32_t then = now + least_row(e, at + 1)[left - i];

		if (then > e->lost_most) {
			if (then < e->lost_least)
				e->lost_least = then;
			continue;
		}
		if (i > 0)
			take(e, class, i);
		choose(e, at + 1, left - i, weight + (int64_t)i * pull + ga_part_pairs(i) * inside,
		       now);
		if (i > 0) {
			e->chosen_count--;
			e->taken[class] = 0;
		}
	}
}

/* ---- getting ready ---- */

static void list_classes(struct expander *e)
{
	const struct ga_part_classes *classes = &e->search->classes;
	const uint8_t *counts = e->expansion->counts;
	const struct ga_part_symmetry *symmetry = ga_part_search_symmetry(e->search, false);
	uint8_t runs[GA_PART_SEARCH_MAX], last[GA_PART_SEARCH_MAX];

	ga_part_search_find_runs(e->search, counts, runs);
	memset(last, GA_PART_NO_CLASS, sizeof last);
	e->count = 0;
	if (e->expansion->pivot != GA_PART_NO_CLASS)
		e->class[e->count++] = (uint8_t)e->expansion->pivot;
	for (size_t i = 0; i < classes->count; i++) {
		size_t c = symmetry->layout[i];

		if (c != e->expansion->pivot && counts[c] > 0 && !classes->required[c])
			e->class[e->count++] = (uint8_t)c;
	}
	for (size_t i = 0; i < e->count; i++) {
		e->like[i] = last[runs[e->class[i]]];
		last[runs[e->class[i]]] = e->class[i];
	}
}

/* The loss of a cluster of the last level if a group takes so many of its vertices. */
static int32_t cluster_loss(const struct ga_part_prices *prices, size_t vertices, size_t taken)
{
	return prices->cluster[vertices] - prices->cluster[vertices - taken] -
	       (taken > 0 ? (int32_t)(GA_PART_PRICE_SCALE * ga_part_pairs(taken)) : 0);
}

/*
 * Fills in the losses of each class. Returns the loss of the group itself and of the required
 * vertices that it takes.
 */
static int32_t fill_losses(struct expander *e)
{
	const struct ga_part_classes *classes = &e->search->classes;
	const struct ga_part_level *level =
		&e->search->bound.levels[e->search->bound.level_count - 1];
	const struct ga_part_prices *prices = &level->prices[1];
	const uint8_t *counts = e->expansion->counts;
	uint8_t required[GA_PART_SEARCH_MAX + 1] = {0};
	int32_t lost = prices->group[e->size];

	for (size_t c = 0; classes->any_required && c < classes->count; c++)
		if (classes->required[c])
			required[level->cluster[c]] += counts[c];
	for (size_t i = 0; i < e->count; i++) {
		size_t cluster = level->cluster[e->class[i]], count = counts[e->class[i]];
		size_t with = cluster == GA_PART_ALONE ? 0 : required[cluster];
		size_t taken = e->expansion->take_required ? with : 0;
		int32_t *losses = e->losses + e->loss_at[i];

		for (size_t x = 0; x <= count; x++)
			losses[x] = cluster == GA_PART_ALONE
					    ? (int32_t)x * prices->cluster[1]
					    : cluster_loss(prices, count + with, x + taken);
		if (cluster != GA_PART_ALONE)
			required[cluster] = 0; /* they are counted now */
	}
	for (size_t i = 0; e->expansion->take_required && i < level->cluster_count; i++)
		lost += cluster_loss(prices, required[i], required[i]);
	if (e->expansion->take_required)
		lost += required[GA_PART_ALONE] * prices->cluster[1];
	return lost;
}

/*
 * Fills in the least loss of the classes from each place on, by the number of vertices that the
 * group still needs.
 */
static void fill_least(struct expander *e)
{
	int32_t *after = least_row(e, e->count);

	for (size_t left = 0; left <= e->size; left++)
		after[left] = left == 0 ? 0 : LOSS_MAX;
	for (size_t at = e->count; at-- > 0; after = least_row(e, at)) {
		const int32_t *losses = e->losses + e->loss_at[at];
		int32_t *here = least_row(e, at);
		size_t count = e->expansion->counts[e->class[at]];

		for (size_t left = 0; left <= e->size; left++) {
			here[left] = LOSS_MAX;
			for (size_t x = 0; x <= count && x <= left; x++)
				if (losses[x] + after[left - x] < here[left])
					here[left] = losses[x] + after[left - x];
		}
	}
}

/* Sets how much the last level may lose before need is out of reach. */
static void set_limit(struct expander *e)
{
	const struct ga_part_bound *bound = &e->search->bound;
	const struct ga_part_expansion *x = e->expansion;
	const struct ga_part_level *last = &bound->levels[bound->level_count - 1];
	int64_t others = ga_part_bound_but_last_level(bound, x->counts, x->total);
	int64_t missing = x->need - others;
	int64_t limit = ga_part_bound_last_level(bound, x->counts, x->total);

	if (missing > 0)
		limit -= (missing + last->step - 1) / last->step * GA_PART_PRICE_SCALE;
	e->lost_most = missing > 0 && limit < LOSS_MAX / 2 ? (int32_t)limit : LOSS_MAX / 2;
}

/* Notes the value that the choices with too large a loss could have led to. */
static void note_pruned(const struct expander *e)
{
	const struct ga_part_bound *bound = &e->search->bound;
	const struct ga_part_expansion *x = e->expansion;
	int64_t most;

	if (e->lost_least >= LOSS_MAX / 2)
		return;
	most = ga_part_bound_but_last_level(bound, x->counts, x->total) +
	       bound->levels[bound->level_count - 1].step *
		       ((ga_part_bound_last_level(bound, x->counts, x->total) - e->lost_least) /
			GA_PART_PRICE_SCALE);
	most = most < x->need ? most : x->need - 1;
	if (most > e->options->pruned)
		e->options->pruned = most;
}

static void expand_size(struct expander *e, size_t size)
{
	const struct ga_part_classes *classes = &e->search->classes;
	const bool separable = e->search->bound.separable;
	size_t left = size, places = 0;
	int64_t weight = 0;
	int32_t lost = 0;

	e->size = size;
	e->chosen_count = 0;
	e->lost_most = LOSS_MAX / 2;
	e->lost_least = LOSS_MAX;
	memset(e->taken, 0, classes->count);
	for (size_t i = 0; i < e->count; i++) {
		e->loss_at[i] = (uint16_t)places;
		places += e->expansion->counts[e->class[i]] + 1U;
	}
	memset(e->losses, 0, places * sizeof *e->losses);
	e->nested = e->search->bound.tree && e->search->bound.level_count > 1;
	if (e->nested)
		e->room = ga_part_bound_room(&e->search->bound, e->expansion->counts,
					     e->expansion->total, e->expansion->need);
	if (separable) {
		lost = fill_losses(e);
		set_limit(e);
	}
	fill_least(e);
	for (size_t c = 0; e->expansion->take_required && c < classes->count; c++)
		if (classes->required[c])
			take(e, c, e->expansion->counts[c]);
	weight = ga_part_search_weight(e->search, e->taken);
	for (size_t i = 0; i < e->chosen_count; i++)
		left -= e->taken[e->chosen[i]];
	if (lost + least_row(e, 0)[left] <= e->lost_most)
		choose(e, 0, left, weight, lost);
	else
		e->lost_least = lost + least_row(e, 0)[left];
	if (separable)
		note_pruned(e);
}

void ga_part_search_expand(struct ga_part_search *search, const struct ga_part_expansion *expansion,
			   struct ga_part_options *ret_options)
{
	const size_t size = search->problem->size, rest = expansion->total % size;
	struct expander expander = {
		.search = search, .expansion = expansion, .options = ret_options};

	*ret_options =
		(struct ga_part_options){.begin = search->options_used, .pruned = GA_PART_NOTHING};
	list_classes(&expander);
	expand_size(&expander, size);
	if (rest > 0 && !expansion->take_required && !search->exhausted)
		expand_size(&expander, rest);
}
