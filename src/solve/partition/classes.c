/* SPDX-License-Identifier: Apache-2.0 */
/* Classes of vertices that cannot be told apart; see classes.h. */
#include "classes.h"

#include "cleanup.h"

#include <string.h>

static bool is_required(const struct ga_part_problem *problem, size_t vertex)
{
	for (size_t i = 0; i < problem->required_count; i++)
		if (problem->required[i] == vertex)
			return true;
	return false;
}

/* Whether a and b have the same weight to every other vertex. */
static bool are_twins(const struct ga_part_problem *problem, size_t a, size_t b)
{
	const int32_t *to_a = problem->weights + a * problem->count;
	const int32_t *to_b = problem->weights + b * problem->count;

	for (size_t x = 0; x < problem->count; x++)
		if (to_a[x] != to_b[x] && x != a && x != b)
			return false;
	return true;
}

/*
 * Finds the class whose first member is a twin of the vertex. The weight between the two is then
 * the same as inside the class.
 */
static size_t find_class(const struct ga_part_classes *classes,
			 const struct ga_part_problem *problem, size_t vertex, bool required)
{
	for (size_t c = 0; c < classes->count; c++) {
		size_t leader = classes->members[c];

		if (classes->required[c] == required && are_twins(problem, leader, vertex))
			return c;
	}
	return classes->count;
}

/*
 * Sorts the vertices into classes. Until all classes are known, members holds the first vertex of
 * each.
 */
static void sort_vertices(struct ga_part_classes *classes, const struct ga_part_problem *problem,
			  bool alike)
{
	uint8_t next[GA_PART_SEARCH_MAX];

	for (size_t i = 0; i < problem->count; i++) {
		bool required = is_required(problem, i);
		size_t c = alike ? find_class(classes, problem, i, required) : classes->count;

		if (c == classes->count) {
			classes->members[c] = (uint8_t)i;
			classes->required[c] = required;
			classes->size[c] = 0;
			classes->count++;
		}
		classes->of[i] = (uint8_t)c;
		classes->size[c]++;
		classes->any_required = classes->any_required || required;
	}
	for (size_t c = 0, start = 0; c < classes->count; start += classes->size[c++])
		classes->first[c] = next[c] = (uint8_t)start;
	for (size_t i = 0; i < problem->count; i++)
		classes->members[next[classes->of[i]]++] = (uint8_t)i;
}

/*
 * Whether a and b have the same weights to all other classes. The weights inside a and b may
 * differ.
 */
static bool sees_alike(const struct ga_part_classes *classes, size_t a, size_t b)
{
	for (size_t x = 0; x < classes->count; x++)
		if (x != a && x != b &&
		    ga_part_class_weight(classes, a, x) != ga_part_class_weight(classes, b, x))
			return false;
	return true;
}

/*
 * A class with one vertex has no weight inside. It takes over the weight of a larger class that it
 * could change places with, so that the rest of a tray counts as a tray.
 */
static void adopt_insides(struct ga_part_classes *classes)
{
	for (size_t c = 0; c < classes->count; c++) {
		if (classes->size[c] > 1)
			continue;
		for (size_t other = 0; other < classes->count; other++)
			if (classes->size[other] > 1 && sees_alike(classes, c, other)) {
				classes->weight[c * classes->count + c] =
					ga_part_class_weight(classes, other, other);
				break;
			}
	}
}

bool ga_part_classes_init(struct ga_part_classes *classes, const struct ga_part_problem *problem,
			  bool alike)
{
	classes->count = 0;
	classes->any_required = false;
	sort_vertices(classes, problem, alike);
	classes->weight = calloc(classes->count, classes->count * sizeof *classes->weight);
	if (!classes->weight)
		return false;
	for (size_t a = 0; a < classes->count; a++)
		for (size_t b = 0; b < classes->count; b++) {
			size_t one = classes->members[classes->first[a]];
			size_t other = classes->members[classes->first[b]];

			if (a == b && classes->size[a] > 1)
				other = classes->members[classes->first[a] + 1U];
			classes->weight[a * classes->count + b] =
				ga_part_weight(problem, one, other);
		}
	adopt_insides(classes);
	return true;
}

void ga_part_classes_free(struct ga_part_classes *classes)
{
	free(classes->weight);
	classes->weight = NULL;
}

/* ---- symmetries between classes ---- */

/* A run of classes in the layout: a single class, or several that steps have joined. */
struct item {
	uint8_t start, width;
};

struct finder {
	const struct ga_part_classes *classes;
	bool with_required;
	struct item items[GA_PART_SEARCH_MAX];
	size_t item_count;
	/* for each step, its first class; its place is not final yet */
	uint8_t step_class[GA_PART_SEARCH_MAX];
};

/* Whether the two runs may change places, class by class. */
static bool may_swap(const struct finder *finder, const uint8_t *layout, struct item one,
		     struct item other)
{
	const struct ga_part_classes *classes = finder->classes;
	bool inside[GA_PART_SEARCH_MAX] = {false};
	const uint8_t *a = layout + one.start, *b = layout + other.start;

	if (one.width != other.width || classes->required[*a] || classes->required[*b])
		return false;
	for (size_t i = 0; i < one.width; i++)
		inside[a[i]] = inside[b[i]] = true;
	for (size_t i = 0; i < one.width; i++) {
		for (size_t j = 0; j < one.width; j++)
			if (ga_part_class_weight(classes, a[i], a[j]) !=
				    ga_part_class_weight(classes, b[i], b[j]) ||
			    ga_part_class_weight(classes, a[i], b[j]) !=
				    ga_part_class_weight(classes, b[i], a[j]))
				return false;
		for (size_t x = 0; x < classes->count; x++)
			if (!inside[x] && (finder->with_required || !classes->required[x]) &&
			    ga_part_class_weight(classes, a[i], x) !=
				    ga_part_class_weight(classes, b[i], x))
				return false;
	}
	return true;
}

static void append_item(uint8_t *layout, size_t *count, const uint8_t *old, struct item item)
{
	memcpy(layout + *count, old + item.start, item.width);
	*count += item.width;
}

/* Joins items that may change places into larger items. Returns false if there were none. */
static bool join_items(struct finder *finder, struct ga_part_symmetry *symmetry)
{
	uint8_t old[GA_PART_SEARCH_MAX];
	bool used[GA_PART_SEARCH_MAX] = {false}, joined = false;
	size_t placed = 0, item_count = 0;

	memcpy(old, symmetry->layout, symmetry->count);
	for (size_t i = 0; i < finder->item_count; i++) {
		struct item item = finder->items[i];
		size_t start = placed, children = 1;

		if (used[i])
			continue;
		append_item(symmetry->layout, &placed, old, item);
		for (size_t j = i + 1; j < finder->item_count; j++) {
			if (used[j] || !may_swap(finder, old, item, finder->items[j]))
				continue;
			used[j] = true;
			children++;
			append_item(symmetry->layout, &placed, old, finder->items[j]);
		}
		if (children > 1) {
			finder->step_class[symmetry->step_count] = symmetry->layout[start];
			symmetry->steps[symmetry->step_count++] = (struct ga_part_symmetry_step){
				.width = item.width, .children = (uint8_t)children};
			joined = true;
		}
		/*
		 * Items only move to the front, so the items that are still to come keep their
		 * places.
		 */
		finder->items[item_count++] =
			(struct item){(uint8_t)start, (uint8_t)(placed - start)};
	}
	finder->item_count = item_count;
	return joined;
}

static void settle_steps(const struct finder *finder, struct ga_part_symmetry *symmetry)
{
	uint8_t position[GA_PART_SEARCH_MAX];

	for (size_t i = 0; i < symmetry->count; i++) {
		position[symmetry->layout[i]] = (uint8_t)i;
		symmetry->block[i] = (uint8_t)i;
	}
	for (size_t i = 0; i < symmetry->step_count; i++) {
		struct ga_part_symmetry_step *step = &symmetry->steps[i];

		step->start = position[finder->step_class[i]];
		for (size_t child = 0; step->width == 1 && child < step->children; child++)
			symmetry->block[symmetry->layout[step->start + child]] =
				finder->step_class[i];
	}
}

void ga_part_symmetry_find(struct ga_part_symmetry *symmetry, const struct ga_part_classes *classes,
			   bool with_required)
{
	struct finder finder = {
		.classes = classes, .with_required = with_required, .item_count = classes->count};

	symmetry->count = classes->count;
	symmetry->step_count = 0;
	for (size_t i = 0; i < classes->count; i++) {
		symmetry->layout[i] = (uint8_t)i;
		finder.items[i] = (struct item){(uint8_t)i, 1};
	}
	while (join_items(&finder, symmetry))
		;
	settle_steps(&finder, symmetry);
}

/*
 * Sorts the children of a step, the largest counts first. There are few of them, and they are
 * nearly sorted.
 */
static void sort_children(uint8_t *counts, const struct ga_part_symmetry_step *step)
{
	const size_t width = step->width;
	uint8_t *children = counts + step->start, moving[GA_PART_SEARCH_MAX];

	for (size_t i = 1; i < step->children; i++) {
		size_t to = i;

		memcpy(moving, children + i * width, width);
		while (to > 0 && memcmp(children + (to - 1) * width, moving, width) < 0)
			to--;
		if (to == i)
			continue;
		memmove(children + (to + 1) * width, children + to * width, (i - to) * width);
		memcpy(children + to * width, moving, width);
	}
}

void ga_part_symmetry_apply(const struct ga_part_symmetry *symmetry, uint8_t *counts)
{
	uint8_t laid[GA_PART_SEARCH_MAX];

	if (symmetry->step_count == 0)
		return;
	for (size_t i = 0; i < symmetry->count; i++)
		laid[i] = counts[symmetry->layout[i]];
	for (size_t i = 0; i < symmetry->step_count; i++)
		sort_children(laid, &symmetry->steps[i]);
	for (size_t i = 0; i < symmetry->count; i++)
		counts[symmetry->layout[i]] = laid[i];
}
