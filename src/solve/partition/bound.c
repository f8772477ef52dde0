/* SPDX-License-Identifier: Apache-2.0 */
/* Upper bounds of states; see bound.h. prices.c finds the prices. */
#include "bound.h"

#include "cleanup.h"

#include <string.h>

enum { TREE_CLASSES_MAX = 96 }; /* with more classes, finding the tree costs more than it gains */

/*
 * Makes the smallest tree above the weights. A pair gets the weight of the worst link on its best
 * path.
 */
static void cover(int32_t *tree, const struct ga_part_classes *classes)
{
	const size_t count = classes->count;

	memcpy(tree, classes->weight, count * count * sizeof *tree);
	for (size_t via = 0; via < count; via++)
		for (size_t a = 0; a < count; a++) {
			const int32_t first = tree[a * count + via];

			for (size_t b = 0; a != via && b < count; b++) {
				int32_t second = tree[via * count + b];
				int32_t path = first < second ? first : second;

				if (b != via && path > tree[a * count + b])
					tree[a * count + b] = path;
			}
		}
}

static size_t list_values(const int32_t *tree, size_t cells, int32_t *values)
{
	size_t count = 0;

	for (size_t i = 0; i < cells; i++) {
		size_t at = 0;

		while (at < count && values[at] < tree[i])
			at++;
		if (at < count && values[at] == tree[i])
			continue;
		if (count == GA_PART_LEVELS_MAX + 1)
			return 0;
		memmove(values + at + 1, values + at, (count - at) * sizeof *values);
		values[at] = tree[i];
		count++;
	}
	return count;
}

/*
 * Finds the clusters of a level: classes whose weight in the tree is at least value are together.
 */
static void find_clusters(struct ga_part_level *level, const struct ga_part_classes *classes,
			  const int32_t *tree, int32_t value)
{
	const size_t count = classes->count;
	size_t sizes[GA_PART_SEARCH_MAX] = {0};

	level->cluster_count = 0;
	level->largest = 1;
	for (size_t c = 0; c < count; c++) {
		size_t other = 0;

		while (other < c && tree[c * count + other] < value)
			other++;
		if (other < c)
			level->cluster[c] = level->cluster[other];
		else if (tree[c * count + c] >= value)
			level->cluster[c] = (uint8_t)level->cluster_count++;
		else
			level->cluster[c] = GA_PART_ALONE;
		if (level->cluster[c] == GA_PART_ALONE)
			continue;
		sizes[level->cluster[c]] += classes->size[c];
		if (sizes[level->cluster[c]] > level->largest)
			level->largest = sizes[level->cluster[c]];
	}
}

static bool is_separable(const struct ga_part_bound *bound)
{
	const struct ga_part_level *last = &bound->levels[bound->level_count - 1];
	bool taken[GA_PART_SEARCH_MAX] = {false};

	for (size_t c = 0; c < bound->classes->count; c++) {
		if (bound->classes->required[c] || last->cluster[c] == GA_PART_ALONE)
			continue;
		if (taken[last->cluster[c]])
			return false;
		taken[last->cluster[c]] = true;
	}
	return true;
}

static void price_nothing(struct ga_part_level *level, size_t size, size_t vertices)
{
	struct ga_part_prices *prices = &level->prices[0];

	for (size_t n = 0; n <= vertices; n++)
		prices->cluster[n] = (int32_t)(GA_PART_PRICE_SCALE *
					       ((int64_t)(n / size) * ga_part_pairs(size) +
						(n % size > 0 ? ga_part_pairs(n % size) : 0)));
	memset(prices->group, 0, sizeof prices->group);
	level->prices[1] = *prices;
}

static bool make_levels(struct ga_part_bound *bound, const int32_t *tree, const int32_t *values,
			size_t vertices)
{
	const size_t room = vertices + 1;
	const size_t lists = bound->level_count * GA_PART_PRICE_LISTS;

	bound->tables = calloc(lists * room + 1, sizeof *bound->tables);
	if (!bound->tables)
		return false;
	bound->base = values[0];
	for (size_t i = 0; i < bound->level_count; i++) {
		struct ga_part_level *level = &bound->levels[i];
		int32_t *table = bound->tables + i * GA_PART_PRICE_LISTS * room;

		level->step = values[i + 1] - values[i];
		level->prices[0].cluster = table;
		find_clusters(level, bound->classes, tree, values[i + 1]);
		price_nothing(level, bound->size, vertices);
		level->prices[1].cluster = table + room;
		memcpy(table + room, table, room * sizeof *table);
	}
	return true;
}

static bool find_tree(struct ga_part_bound *bound, size_t vertices)
{
	const struct ga_part_classes *classes = bound->classes;
	const size_t cells = classes->count * classes->count;
	ga_auto_free int32_t *tree = NULL;
	int32_t values[GA_PART_LEVELS_MAX + 2];
	size_t value_count;

	bound->mates = true;
	if (classes->count > TREE_CLASSES_MAX)
		return true;
	tree = calloc(cells, sizeof *tree);
	if (!tree)
		return false;
	cover(tree, classes);
	value_count = list_values(tree, cells, values);
	if (value_count == 0)
		return true;
	bound->tree = true;
	bound->level_count = value_count - 1;
	if (!make_levels(bound, tree, values, vertices))
		return false;
	bound->separable = bound->level_count > 0 && is_separable(bound);
	bound->mates = false;
	for (size_t a = 0; a < classes->count; a++)
		for (size_t b = 0; b <= a; b++)
			if ((a != b || classes->size[a] > 1) &&
			    tree[a * classes->count + b] != ga_part_class_weight(classes, a, b))
				bound->mates = true;
	return true;
}

static bool find_nearest(struct ga_part_bound *bound)
{
	const struct ga_part_classes *classes = bound->classes;
	const size_t count = classes->count;

	bound->nearest = calloc(count, count);
	if (!bound->nearest)
		return false;
	for (size_t c = 0; c < count; c++) {
		uint8_t *list = bound->nearest + c * count;

		for (size_t other = 0; other < count; other++) {
			size_t at = other;

			while (at > 0 && ga_part_class_weight(classes, c, list[at - 1]) <
						 ga_part_class_weight(classes, c, other))
				at--;
			memmove(list + at + 1, list + at, other - at);
			list[at] = (uint8_t)other;
		}
	}
	return true;
}

/*
 * Whether class a comes before class b in the order. Clusters of a level lie inside those of the
 * level before.
 */
static bool comes_before(const struct ga_part_bound *bound, size_t a, size_t b)
{
	for (size_t i = 0; i < bound->level_count; i++)
		if (bound->levels[i].cluster[a] != bound->levels[i].cluster[b])
			return bound->levels[i].cluster[a] < bound->levels[i].cluster[b];
	return a < b;
}

static void put_in_order(struct ga_part_bound *bound)
{
	for (size_t c = 0; c < bound->classes->count; c++) {
		size_t at = c;

		for (; at > 0 && comes_before(bound, c, bound->order[at - 1]); at--)
			bound->order[at] = bound->order[at - 1];
		bound->order[at] = (uint8_t)c;
	}
}

static int64_t common_unit(const struct ga_part_problem *problem)
{
	int64_t unit = 0;

	for (size_t i = 0; i < problem->count * problem->count; i++)
		for (int64_t a = problem->weights[i]; a != 0;) {
			int64_t left = unit % a;

			unit = a;
			a = left;
		}
	return unit > 0 ? unit : 1;
}

bool ga_part_bound_init(struct ga_part_bound *bound, const struct ga_part_classes *classes,
			const struct ga_part_problem *problem)
{
	bound->classes = classes;
	bound->size = problem->size;
	bound->unit = common_unit(problem);
	bound->base = 0;
	bound->tree = bound->separable = false;
	bound->level_count = 0;
	bound->joint.of_use = false;
	bound->tables = NULL;
	bound->nearest = NULL;
	if (!find_tree(bound, problem->count) || (bound->mates && !find_nearest(bound)))
		return false;
	put_in_order(bound);
	return true;
}

void ga_part_bound_free(struct ga_part_bound *bound)
{
	free(bound->tables);
	free(bound->nearest);
	bound->tables = NULL;
	bound->nearest = NULL;
}

/* ---- a state ---- */

struct sums {
	int64_t full, part; /* of a vertex's best weights, in a full group and in the short one */
};

static struct sums best_mates(const struct ga_part_bound *bound, const uint8_t *counts,
			      size_t class, size_t rest)
{
	const struct ga_part_classes *classes = bound->classes;
	const uint8_t *list = bound->nearest + class * classes->count;
	size_t left = bound->size - 1, part_left = rest > 0 ? rest - 1 : 0;
	struct sums sums = {0, 0};

	for (size_t i = 0; i < classes->count && left > 0; i++) {
		size_t there = counts[list[i]] - (size_t)(list[i] == class);
		int64_t weight = ga_part_class_weight(classes, class, list[i]);
		size_t taken = there < left ? there : left;
		size_t part = there < part_left ? there : part_left;

		sums.full += weight * (int64_t)taken;
		sums.part += weight * (int64_t)part;
		left -= taken;
		part_left -= part;
	}
	return sums;
}

/* The sum of the smallest losses of rest vertices, where each class c has counts[c] of them. */
static int64_t smallest_losses(const int64_t *losses, const uint8_t *counts, size_t count,
			       size_t rest)
{
	bool used[GA_PART_SEARCH_MAX] = {false};
	int64_t sum = 0;

	while (rest > 0) {
		size_t least = count;

		for (size_t c = 0; c < count; c++)
			if (counts[c] > 0 && !used[c] &&
			    (least == count || losses[c] < losses[least]))
				least = c;
		if (least == count)
			break;
		used[least] = true;

		size_t taken = counts[least] < rest ? counts[least] : rest;

		sum += losses[least] * (int64_t)taken;
		rest -= taken;
	}
	return sum;
}

static int64_t bound_by_mates(const struct ga_part_bound *bound, const uint8_t *counts,
			      size_t total)
{
	const size_t count = bound->classes->count, rest = total % bound->size;
	int64_t losses[GA_PART_SEARCH_MAX], sum = 0;

	for (size_t c = 0; c < count; c++) {
		losses[c] = 0;
		if (counts[c] == 0)
			continue;

		struct sums sums = best_mates(bound, counts, c, rest);

		sum += sums.full * counts[c];
		losses[c] = sums.full - sums.part;
	}
	sum = (sum - smallest_losses(losses, counts, count, rest)) / 2;
	return sum / bound->unit * bound->unit;
}

static int64_t level_pairs(const struct ga_part_bound *bound, const struct ga_part_level *level,
			   size_t list, const uint8_t *counts, size_t total)
{
	const struct ga_part_prices *prices = &level->prices[list];
	uint8_t clusters[GA_PART_SEARCH_MAX + 1];
	int64_t pairs = (int64_t)(total / bound->size) * prices->group[bound->size] +
			prices->group[total % bound->size];

	memset(clusters, 0, level->cluster_count);
	clusters[GA_PART_ALONE] = 0;
	for (size_t c = 0; c < bound->classes->count; c++)
		clusters[level->cluster[c]] += counts[c];
	for (size_t i = 0; i < level->cluster_count; i++)
		pairs += prices->cluster[clusters[i]];
	return pairs + (int64_t)clusters[GA_PART_ALONE] * prices->cluster[1];
}

static int64_t all_pairs(const struct ga_part_bound *bound, size_t total)
{
	const size_t rest = total % bound->size;

	return (int64_t)(total / bound->size) * ga_part_pairs(bound->size) +
	       (rest > 0 ? ga_part_pairs(rest) : 0);
}

/* An upper bound on what the tree's first levels are worth; levels is the number of them. */
static int64_t bound_by_tree(const struct ga_part_bound *bound, size_t levels,
			     const uint8_t *counts, size_t total)
{
	int64_t sum = bound->base * all_pairs(bound, total);

	for (size_t i = 0; i < levels; i++) {
		const struct ga_part_level *level = &bound->levels[i];
		int64_t plain = level_pairs(bound, level, 0, counts, total);
		int64_t priced = level_pairs(bound, level, 1, counts, total);

		sum += level->step * ((priced < plain ? priced : plain) / GA_PART_PRICE_SCALE);
	}
	return sum;
}

int64_t ga_part_bound_of(const struct ga_part_bound *bound, const uint8_t *counts, size_t total)
{
	int64_t best = GA_PART_UNBOUNDED;

	if (bound->tree)
		best = bound_by_tree(bound, bound->level_count, counts, total);
	if (bound->joint.of_use) {
		int64_t joint = ga_part_bound_by_joint(bound, counts, total);

		if (joint < GA_PART_UNBOUNDED) {
			joint += bound_by_tree(bound, bound->level_count - 2, counts, total);
			best = joint < best ? joint : best;
		}
	}
	if (bound->mates) {
		int64_t mates = bound_by_mates(bound, counts, total);

		best = mates < best ? mates : best;
	}
	return best;
}

int64_t ga_part_bound_last_level(const struct ga_part_bound *bound, const uint8_t *counts,
				 size_t total)
{
	return level_pairs(bound, &bound->levels[bound->level_count - 1], 1, counts, total);
}

int64_t ga_part_bound_but_last_level(const struct ga_part_bound *bound, const uint8_t *counts,
				     size_t total)
{
	return bound_by_tree(bound, bound->level_count - 1, counts, total);
}

int64_t ga_part_bound_room(const struct ga_part_bound *bound, const uint8_t *counts, size_t total,
			   int64_t need)
{
	int64_t room = (bound->base * all_pairs(bound, total) - need) * GA_PART_PRICE_SCALE;

	for (size_t i = 0; i < bound->level_count; i++)
		room += bound->levels[i].step *
			level_pairs(bound, &bound->levels[i], 1, counts, total);
	return room;
}
