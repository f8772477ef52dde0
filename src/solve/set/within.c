/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes tables of the best sets within sets; see within.h. One walk visits all sets up to the
 * largest size. It adds one vertex after another and keeps the degrees up to date. The values then
 * become ranks of 16 bits. At last each set takes over the best rank of the sets with one vertex
 * less, for one vertex after another (the zeta transform of a lattice, with the minimum in place of
 * the sum).
 */
#include "within.h"

#include "cleanup.h"
#include "error.h"

#include <string.h>

/* The sets of one size, in the order of the walk. */
struct list {
	size_t count;
	uint16_t *sets;
	int32_t *values;
};

struct walk {
	const struct ga_set_graph *graph;
	uint32_t allowed;
	size_t size_most;
	struct list lists[GA_SET_WITHIN_SIZE_MAX + 1];
	size_t set[GA_SET_WITHIN_SIZE_MAX];
	/* by size of the set, then by slot */
	int32_t degree[GA_SET_WITHIN_SIZE_MAX + 1][GA_SET_WITHIN_SIZE_MAX];
};

void ga_set_within_free(struct ga_set_within *within)
{
	free(within->rank);
	free(within->values);
	*within = (struct ga_set_within){0};
}

/* ---- every set and its bandwidth ---- */

static int64_t value_of(const struct walk *walk, size_t size, int32_t slowest)
{
	const struct ga_set_graph *graph = walk->graph;
	int32_t least = INT32_MAX;
	int64_t cut = 0;

	for (size_t i = 0; i < size; i++)
		if (walk->degree[size][i] < least)
			least = walk->degree[size][i];
	if (least > 0)
		cut = ga_set_min_cut(graph, walk->set, size, least);
	if (cut > 0)
		return cut;
	return slowest > 0 ? ga_set_bottleneck_from(graph, walk->set, size, slowest, 0)
			   : ga_set_ring(graph, walk->set, size, 0);
}

/*
 * Adds a vertex to a set of this size. Returns the slowest ring between two vertices of the new
 * set.
 */
static int32_t add(struct walk *walk, size_t size, size_t vertex, int32_t slowest)
{
	const int32_t *before = walk->degree[size];
	int32_t *after = walk->degree[size + 1], own = 0;
	size_t row = vertex * walk->graph->count;

	for (size_t i = 0; i < size; i++) {
		int32_t link = walk->graph->link[row + walk->set[i]];
		int32_t ring = walk->graph->ring[row + walk->set[i]];

		after[i] = before[i] + link;
		own += link;
		if (ring < slowest)
			slowest = ring;
	}
	after[size] = own;
	walk->set[size] = vertex;
	return slowest;
}

/* Visits all larger sets that begin with this one. NOLINTNEXTLINE(misc-no-recursion) */
static void visit(struct walk *walk, size_t size, uint32_t set, int32_t slowest)
{
	uint32_t above = set ? ~0U << (32 - __builtin_clz(set)) : ~0U;

	for (uint32_t next = walk->allowed & above; next; next &= next - 1) {
		size_t vertex = (size_t)__builtin_ctz(next);
		uint32_t larger = set | 1U << vertex;
		int32_t here = add(walk, size, vertex, slowest);

		if (size + 1 >= 2) {
			struct list *list = &walk->lists[size + 1];

			list->sets[list->count] = (uint16_t)larger;
			list->values[list->count++] = (int32_t)value_of(walk, size + 1, here);
		}
		if (size + 1 < walk->size_most)
			visit(walk, size + 1, larger, here);
	}
}

/* ---- ranks ---- */

/* The place of value in a falling list, or the place where it would be inserted. */
static size_t find(const int32_t *falling, size_t count, int32_t value)
{
	size_t low = 0;

	while (count > 0) {
		size_t half = count / 2;

		if (falling[low + half] > value) {
			low += half + 1;
			count -= half + 1;
		} else {
			count = half;
		}
	}
	return low;
}

/* Lists the different values and returns their number. Most values occur many times. */
static size_t list_values(const struct list *list, int32_t *falling)
{
	int32_t last = 0;
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++) {
		int32_t value = list->values[i];
		size_t at;

		if (value == last)
			continue;
		last = value;
		at = find(falling, count, value);
		if (at < count && falling[at] == value)
			continue;
		memmove(falling + at + 1, falling + at, (count - at) * sizeof *falling);
		falling[at] = value;
		count++;
	}
	falling[count] = 0;
	return count;
}

static void set_ranks(const struct list *list, const int32_t *falling, size_t count, int16_t *rank,
		      size_t sets)
{
	int32_t last = 0;
	int16_t last_rank = (int16_t)count;

	for (size_t i = 0; i < sets; i++)
		rank[i] = (int16_t)count;
	for (size_t i = 0; i < list->count; i++) {
		if (list->values[i] != last) {
			last = list->values[i];
			last_rank = (int16_t)find(falling, count, last);
		}
		rank[list->sets[i]] = last_rank;
	}
}

enum { LANES = 8 };
typedef int16_t lanes __attribute__((vector_size(LANES * sizeof(int16_t)), may_alias));

static lanes lesser(lanes a, lanes b)
{
	lanes less = a < b;

	return (a & less) | (b & ~less);
}

/* Spreads the ranks over the three lowest vertices, within a group of eight neighbouring sets. */
static lanes spread_lanes(lanes x)
{
	x = lesser(x, __builtin_shufflevector(x, x, 0, 0, 2, 2, 4, 4, 6, 6));
	x = lesser(x, __builtin_shufflevector(x, x, 0, 1, 0, 1, 4, 5, 4, 5));
	return lesser(x, __builtin_shufflevector(x, x, 0, 1, 2, 3, 0, 1, 2, 3));
}

/*
 * Spreads the ranks over two vertices at once, so that each block is loaded only once: the block
 * without either vertex, with one, with the other, and with both.
 */
static void spread_two(lanes *blocks, size_t count, size_t bit)
{
	for (size_t base = 0; base < count; base += 4 * bit)
		for (size_t i = base; i < base + bit; i++) {
			lanes none = blocks[i], one = lesser(none, blocks[i + bit]);
			lanes other = lesser(none, blocks[i + 2 * bit]);

			blocks[i + bit] = one;
			blocks[i + 2 * bit] = other;
			blocks[i + 3 * bit] = lesser(lesser(one, other), blocks[i + 3 * bit]);
		}
}

/* Each set takes over the rank of the set without one vertex, if it is better. */
static void spread(int16_t *rank, size_t sets)
{
	lanes *blocks = (lanes *)(void *)rank;
	size_t count = sets / LANES, bit = 1;

	for (size_t i = 0; i < count; i++)
		blocks[i] = spread_lanes(blocks[i]);
	for (; 4 * bit <= count; bit *= 4)
		spread_two(blocks, count, bit);
	for (size_t i = 0; bit < count && i < bit; i++)
		blocks[i + bit] = lesser(blocks[i], blocks[i + bit]);
}

/* ---- the whole ---- */

static size_t sets_of(size_t count, size_t size)
{
	size_t sets = 1;

	for (size_t i = 1; i <= size; i++)
		sets = size <= count ? sets * (count - size + i) / i : 0;
	return sets;
}

static void fill(struct ga_set_within *within, struct walk *walk)
{
	size_t sets = (size_t)1 << within->count;
	int32_t *values = within->values;

	visit(walk, 0, 0, INT32_MAX);
	for (size_t size = 2; size <= walk->size_most; size++) {
		int16_t *rank = within->rank + ((size - 2) << within->count);

		within->value[size] = values;
		within->rank_count[size] = list_values(&walk->lists[size], values) + 1;
		values += within->rank_count[size];
		set_ranks(&walk->lists[size], within->value[size], within->rank_count[size] - 1,
			  rank, sets);
		spread(rank, sets);
	}
}

int ga_set_within_init(struct ga_set_within *within, const struct ga_set_graph *graph,
		       uint32_t allowed, size_t size_most)
{
	struct walk walk = {.graph = graph, .allowed = allowed, .size_most = size_most};
	/* at least one whole block of lanes */
	size_t count = graph->count > 3 ? graph->count : 3, all = 0;
	size_t vertices = (size_t)__builtin_popcount(allowed);
	ga_auto_free int32_t *values = NULL;
	ga_auto_free uint16_t *sets = NULL;

	*within = (struct ga_set_within){.count = count, .size_most = size_most};
	if (size_most < 2)
		return 0;
	for (size_t size = 2; size <= size_most; size++)
		all += sets_of(vertices, size);
	values = malloc((all + 1) * sizeof *values);
	sets = malloc((all + 1) * sizeof *sets);
	within->values = malloc((all + size_most) * sizeof *within->values);
	within->rank = malloc(((size_most - 1) << count) * sizeof *within->rank);
	if (!values || !sets || !within->values || !within->rank) {
		ga_set_within_free(within);
		return GPUALLOC_ENOMEM;
	}
	all = 0;
	for (size_t size = 2; size <= size_most; size++) {
		walk.lists[size] = (struct list){0, sets + all, values + all};
		all += sets_of(vertices, size);
	}
	fill(within, &walk);
	return 0;
}
