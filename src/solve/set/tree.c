/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds sets with the highest sum of pair scores if the scores are those of a tree, as they are
 * behind NVSwitch and among PCIe levels. Vertices are joined into parts, best scores first. Each
 * part knows its best set of every size, which is the best combination of sets from its two halves.
 * The result is exact on a tree, and a good start elsewhere.
 */
#include "tree.h"
#include "cleanup.h"
#include "error.h"

/* The best set of one size in a part, and how much of it comes from the first half. */
struct best {
	bool possible;
	struct ga_set_rank rank;
	size_t of_first;
};

struct part {
	size_t size;
	size_t first;     /* its first position in the order offered */
	size_t halves[2]; /* the two parts; halves[0] was offered first */
	size_t required;
	int32_t node;      /* the NUMA node of all its vertices, or -1 */
	struct best *best; /* for each size up to the part's size or want */
};

struct edge {
	int32_t score;
	size_t a, b;
};

struct tree {
	const struct ga_set_search *search;
	const struct ga_set_plan *plan;
	struct part *parts; /* a leaf for each position, then the joined parts */
	size_t count;
	size_t *part_of; /* for each position, the largest part that contains it */
	struct best *room;
};

static size_t sizes_of(const struct tree *tree, const struct part *part)
{
	return (part->size < tree->search->want ? part->size : tree->search->want) + 1;
}

static int32_t score(const struct ga_set_search *search, size_t p, size_t q)
{
	return ga_set_graph_score(search->graph, search->vertices[p], search->vertices[q]);
}

/*
 * The edges of a spanning tree of highest scores. They say which parts are joined, and at which
 * score.
 */
static void span(const struct ga_set_search *search, size_t *near, bool *done, struct edge *edges)
{
	for (size_t step = 0; step + 1 < search->count; step++) {
		size_t last = step == 0 ? 0 : edges[step - 1].b, next = GA_SET_NONE;

		done[last] = true;
		for (size_t p = 1; p < search->count; p++) {
			if (done[p])
				continue;
			if (step == 0 || score(search, p, last) > score(search, p, near[p]))
				near[p] = last;
			if (next == GA_SET_NONE ||
			    score(search, p, near[p]) > score(search, next, near[next]))
				next = p;
		}
		edges[step] = (struct edge){score(search, next, near[next]), near[next], next};
	}
}

static int compare_edges(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	if (x->score != y->score)
		return x->score < y->score ? 1 : -1;
	return (x->b > y->b) - (x->b < y->b);
}

static void add_leaf(struct tree *tree, size_t position)
{
	const struct ga_set_search *search = tree->search;
	size_t v = search->vertices[position];
	struct part *part = &tree->parts[tree->count];

	*part = (struct part){
		.size = 1,
		.first = position,
		.required = search->required[v],
		.node = search->graph->node[v],
		.best = tree->room,
	};
	part->best[0].possible = !search->required[v];
	part->best[1] = (struct best){
		.possible = true,
		.rank = {.nodes = 1, .loss = tree->search->loss[v]},
	};
	tree->part_of[position] = tree->count++;
	tree->room += 2;
}

/*
 * The rank of i vertices of part a and j of part b together, when the parts are joined at this
 * score.
 */
static struct ga_set_rank together(const struct part *a, size_t i, const struct part *b, size_t j,
				   int32_t score)
{
	const struct ga_set_rank *x = &a->best[i].rank, *y = &b->best[j].rank;
	bool shared = i > 0 && j > 0 && a->node >= 0 && a->node == b->node;

	return (struct ga_set_rank){
		.sum = x->sum + y->sum + (int64_t)(i * j) * score,
		.nodes = x->nodes + y->nodes - shared,
		.loss = x->loss + y->loss,
	};
}

/* Of equal choices, the one that takes the most from the first half wins. */
static void find_best(const struct tree *tree, struct part *part, size_t size, int32_t score)
{
	const struct part *a = &tree->parts[part->halves[0]], *b = &tree->parts[part->halves[1]];
	size_t most = size < a->size ? size : a->size;

	part->best[size] = (struct best){0};
	for (size_t i = most + 1; i-- > 0 && size - i <= b->size;) {
		struct ga_set_rank rank;

		if (!a->best[i].possible || !b->best[size - i].possible)
			continue;
		rank = together(a, i, b, size - i, score);
		if (!part->best[size].possible || ga_set_rank_better(&rank, &part->best[size].rank))
			part->best[size] = (struct best){true, rank, i};
	}
}

static void join(struct tree *tree, const struct edge *edge)
{
	size_t x = tree->part_of[edge->a], y = tree->part_of[edge->b], joined = tree->count++;
	bool in_order = tree->parts[x].first < tree->parts[y].first;
	const struct part *a = &tree->parts[in_order ? x : y];
	const struct part *b = &tree->parts[in_order ? y : x];
	struct part *part = &tree->parts[joined];

	*part = (struct part){
		.size = a->size + b->size,
		.first = a->first,
		.halves = {in_order ? x : y, in_order ? y : x},
		.required = a->required + b->required,
		.node = a->node == b->node ? a->node : -1,
		.best = tree->room,
	};
	for (size_t size = 0; size < sizes_of(tree, part); size++)
		find_best(tree, part, size, edge->score);
	tree->room += sizes_of(tree, part);
	for (size_t p = 0; p < tree->search->count; p++)
		if (tree->part_of[p] == x || tree->part_of[p] == y)
			tree->part_of[p] = joined;
}

static size_t collect(const struct tree *tree, size_t number, size_t size, size_t *positions)
{
	const struct part *part = &tree->parts[number];
	size_t of_first = part->best[size].of_first, taken;

	if (size == 0)
		return 0;
	if (part->size == 1) {
		positions[0] = part->first;
		return 1;
	}
	taken = collect(tree, part->halves[0], of_first, positions);
	return taken + collect(tree, part->halves[1], size - of_first, positions + taken);
}

/*
 * Whether to offer the part: it is the whole, or it is large enough and neither of its halves is.
 */
static bool is_offer(const struct tree *tree, const struct part *part)
{
	size_t want = tree->search->want;

	if (part->size < want || part->required < tree->plan->required_count ||
	    !part->best[want].possible)
		return false;
	return part->size == tree->search->count || part->size == 1 ||
	       (tree->parts[part->halves[0]].size < want &&
		tree->parts[part->halves[1]].size < want);
}

static int offer(const struct tree *tree, size_t *positions, ga_set_tree_visit visit, void *context)
{
	for (size_t i = 0; i < tree->count; i++) {
		int result;

		if (!is_offer(tree, &tree->parts[i]))
			continue;
		collect(tree, i, tree->search->want, positions);
		result = visit(context, positions);
		if (result < 0)
			return result;
	}
	return 0;
}

static void grow(struct tree *tree, size_t *near, bool *done, struct edge *edges)
{
	size_t count = tree->search->count;

	span(tree->search, near, done, edges);
	qsort(edges, count - 1, sizeof *edges, compare_edges);
	for (size_t p = 0; p < count; p++)
		add_leaf(tree, p);
	for (size_t i = 0; i + 1 < count; i++)
		join(tree, &edges[i]);
}

int ga_set_tree(const struct ga_set_search *search, const struct ga_set_plan *plan,
		ga_set_tree_visit visit, void *context)
{
	size_t count = search->count;
	ga_auto_free size_t *numbers = calloc(3 * count + 1, sizeof *numbers);
	ga_auto_free bool *done = calloc(count + 1, sizeof *done);
	ga_auto_free struct edge *edges = calloc(count + 1, sizeof *edges);
	ga_auto_free struct part *parts = calloc(2 * count + 1, sizeof *parts);
	ga_auto_free struct best *room = calloc(2 * count + 1, (search->want + 1) * sizeof *room);
	struct tree tree = {search, plan, parts, 0, numbers, room};

	if (!numbers || !done || !edges || !parts || !room)
		return GPUALLOC_ENOMEM;
	grow(&tree, numbers + count, done, edges);
	return offer(&tree, numbers + 2 * count, visit, context);
}
