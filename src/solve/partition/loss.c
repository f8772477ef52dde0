/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the least loss (the amount by which a group lowers the tree bound) of a group that takes
 * between low and high vertices of each class. This solves one knapsack problem per cluster, from
 * the leaves of the tree up. The loss of a cluster depends on how many of its vertices are taken in
 * total.
 */
#include "bound.h"

/* The least loss by size, for sizes from low to high. Other sizes are not possible. */
struct losses {
	size_t low, high;
	int64_t at[GA_PART_SEARCH_MAX + 1];
};

struct taker {
	const struct ga_part_bound *bound;
	const uint8_t *counts, *low, *high;
	size_t size; /* larger groups do not matter */
};

static void add(struct losses *sum, const struct losses *part, size_t size)
{
	struct losses both = {.low = sum->low + part->low, .high = sum->high + part->high};

	both.high = both.high < size ? both.high : size;
	for (size_t x = both.low; x <= both.high; x++)
		both.at[x] = GA_PART_UNBOUNDED;
	for (size_t a = sum->low; a <= sum->high; a++)
		for (size_t b = part->low; b <= part->high && a + b <= both.high; b++)
			if (sum->at[a] + part->at[b] < both.at[a + b])
				both.at[a + b] = sum->at[a] + part->at[b];
	sum->low = both.low;
	sum->high = both.high;
	for (size_t x = both.low; x <= both.high; x++)
		sum->at[x] = both.at[x];
}

static void take_class(const struct taker *taker, size_t class, struct losses *losses)
{
	losses->low = taker->low[class];
	losses->high = taker->high[class] < taker->size ? taker->high[class] : taker->size;
	for (size_t x = losses->low; x <= losses->high; x++)
		losses->at[x] = 0;
}

/* Adds a cluster's own loss to the losses of the clusters inside it. */
static void charge(const struct ga_part_level *level, bool alone, size_t vertices,
		   struct losses *losses)
{
	const int32_t *cluster = level->prices[1].cluster;

	for (size_t x = losses->low; x <= losses->high; x++)
		losses->at[x] +=
			level->step *
			(alone ? (int64_t)x * cluster[1]
			       : (int64_t)cluster[vertices] - cluster[vertices - x] -
					 (x > 0 ? GA_PART_PRICE_SCALE * ga_part_pairs(x) : 0));
}

/*
 * Adds up the losses of all clusters of a level and of the levels inside it, for the classes from
 * first to end in the order.
 */
static void take_level(const struct taker *taker, size_t level_number, size_t first, size_t end,
		       struct losses *sum)
{
	const struct ga_part_bound *bound = taker->bound;
	const struct ga_part_level *level = &bound->levels[level_number];
	struct losses part;

	*sum = (struct losses){0, 0, {0}};
	for (size_t next = first; first < end; first = next) {
		const size_t class = bound->order[first];
		size_t vertices = taker->counts[class];

		next = first + 1;
		if (level_number == bound->level_count) {
			take_class(taker, class, &part);
		} else {
			const uint8_t cluster = level->cluster[class];

			for (; cluster != GA_PART_ALONE && next < end &&
			       level->cluster[bound->order[next]] == cluster;
			     next++)
				vertices += taker->counts[bound->order[next]];
			take_level(taker, level_number + 1, first, next, &part);
			if (part.low > part.high) {
				*sum = part;
				return;
			}
			charge(level, cluster == GA_PART_ALONE, vertices, &part);
		}
		if (sum->low + part.low > taker->size || part.low > part.high) {
			*sum = (struct losses){1, 0, {0}};
			return;
		}
		add(sum, &part, taker->size);
	}
}

bool ga_part_bound_allows(const struct ga_part_bound *bound, const struct ga_part_taking *taking,
			  size_t size)
{
	const struct taker taker = {bound, taking->counts, taking->low, taking->high, size};
	int64_t most = taking->room;
	struct losses losses;

	for (size_t i = 0; i < bound->level_count; i++)
		most -= bound->levels[i].step * bound->levels[i].prices[1].group[size];
	take_level(&taker, 0, 0, bound->classes->count, &losses);
	return losses.low <= size && size <= losses.high && losses.at[size] <= most;
}
