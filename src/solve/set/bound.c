/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The most bandwidth that a set can have. A set that uses links must lie within one connected part
 * that is large enough, and no member gets more than its want-1 best links carry. If there is no
 * such part, the set uses a ring. The bound is then the fastest bandwidth that connects enough
 * vertices, or the share that each piece below the fullest uplink gets when vertices are spread as
 * evenly as possible, whichever is greater.
 */
#include "graph.h"

#include "cleanup.h"
#include "error.h"

#include <string.h>

#define NO_PART SIZE_MAX

struct parts {
	const struct ga_set_graph *graph;
	const size_t *vertices;
	size_t count;
	const bool *required;
	size_t required_count;
	size_t want;
	size_t *part; /* for each position, the first position of its part */
	size_t *queue;
	int64_t *links; /* the links of one vertex, then one number for each vertex */
};

static bool joined(const struct parts *parts, size_t p, size_t q, int32_t rate)
{
	size_t a = parts->vertices[p], b = parts->vertices[q];

	return rate > 0 ? ga_set_graph_ring(parts->graph, a, b) >= rate
			: ga_set_graph_link(parts->graph, a, b) > 0;
}

/*
 * Splits the vertices into parts that are connected by rings of this rate or more. Rate 0 stands
 * for links alone.
 */
static void split(struct parts *parts, int32_t rate)
{
	for (size_t p = 0; p < parts->count; p++)
		parts->part[p] = NO_PART;
	for (size_t first = 0; first < parts->count; first++) {
		size_t head = 0, tail = 0;

		if (parts->part[first] != NO_PART)
			continue;
		parts->part[first] = first;
		parts->queue[tail++] = first;
		while (head < tail) {
			size_t p = parts->queue[head++];

			for (size_t q = first + 1; q < parts->count; q++)
				if (parts->part[q] == NO_PART && joined(parts, p, q, rate)) {
					parts->part[q] = first;
					parts->queue[tail++] = q;
				}
		}
	}
}

/* Whether the part is large enough and contains all required vertices. */
static bool serves(const struct parts *parts, size_t part)
{
	size_t size = 0, required = 0;

	for (size_t p = 0; p < parts->count; p++)
		if (parts->part[p] == part) {
			size++;
			required += parts->required[parts->vertices[p]];
		}
	return size >= parts->want && required == parts->required_count;
}

static int fall(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x < y) - (x > y);
}

/* The sum of the want-1 best links of a vertex. */
static int64_t reach(struct parts *parts, size_t p)
{
	int64_t sum = 0;

	for (size_t q = 0; q < parts->count; q++)
		parts->links[q] =
			ga_set_graph_link(parts->graph, parts->vertices[p], parts->vertices[q]);
	qsort(parts->links, parts->count, sizeof *parts->links, fall);
	for (size_t i = 0; i + 1 < parts->want; i++)
		sum += parts->links[i];
	return sum;
}

/*
 * The want-th largest reach in the part, or the least reach of a required vertex if that is
 * smaller: a set is as weak as its weakest member.
 */
static int64_t bound_of_part(struct parts *parts, size_t part)
{
	int64_t *reaches = parts->links + parts->count, least_required = INT64_MAX;
	size_t size = 0;

	for (size_t p = 0; p < parts->count; p++) {
		if (parts->part[p] != part)
			continue;
		reaches[size] = reach(parts, p);
		if (parts->required[parts->vertices[p]] && reaches[size] < least_required)
			least_required = reaches[size];
		size++;
	}
	qsort(reaches, size, sizeof *reaches, fall);
	return reaches[parts->want - 1] < least_required ? reaches[parts->want - 1]
							 : least_required;
}

static int64_t bound_by_links(struct parts *parts)
{
	int64_t bound = 0;

	split(parts, 0);
	for (size_t part = 0; part < parts->count; part++)
		if (parts->part[part] == part && serves(parts, part)) {
			int64_t here = bound_of_part(parts, part);

			if (here > bound)
				bound = here;
		}
	return bound;
}

/* The fastest ring between two of these vertices that is slower than below; 0 if there is none. */
static int32_t next_slower(const struct parts *parts, int32_t below)
{
	int32_t next = 0;

	for (size_t p = 0; p < parts->count; p++)
		for (size_t q = 0; q < p; q++) {
			int32_t rate = ga_set_graph_ring(parts->graph, parts->vertices[p],
							 parts->vertices[q]);

			if (rate < below && rate > next)
				next = rate;
		}
	return next;
}

/* A ring that has this rate everywhere lies within one part that is connected at this rate. */
static int32_t bound_by_paths(struct parts *parts)
{
	int32_t rate = 0;

	while ((rate = next_slower(parts, rate ? rate : INT32_MAX)) > 0) {
		split(parts, rate);
		for (size_t part = 0; part < parts->count; part++)
			if (parts->part[part] == part && serves(parts, part))
				return rate;
	}
	return 0;
}

/*
 * Counts, by size, the pieces that the parts have below the uplink of the vertex at position first.
 */
static void count_pieces(struct parts *parts, const int32_t *below, size_t first, size_t *pieces)
{
	memset(pieces, 0, (parts->count + 1) * sizeof *pieces);
	for (size_t part = 0; part < parts->count; part++) {
		size_t size = 0;

		for (size_t p = 0; p < parts->count; p++)
			size += parts->part[p] == part &&
				below[parts->vertices[p]] == below[parts->vertices[first]];
		pieces[size]++;
	}
}

/* The most vertices that count pieces below one uplink can hold. */
static size_t most_in_pieces(const struct parts *parts, const size_t *pieces, size_t count)
{
	size_t most = 0;

	for (size_t size = parts->count; size > 0 && count > 0; size--) {
		size_t taken = pieces[size] < count ? pieces[size] : count;

		most += taken * size;
		count -= taken;
	}
	return most;
}

/* The fewest pieces that any set must have below its fullest uplink. */
static int32_t fewest_pieces(struct parts *parts, const int32_t *below)
{
	size_t *pieces = parts->queue; /* split() no longer needs it */

	for (size_t count = 1; count < parts->want; count++) {
		size_t reached = 0;

		for (size_t p = 0; p < parts->count; p++) {
			bool first = true;

			for (size_t q = 0; q < p && first; q++)
				first = below[parts->vertices[q]] != below[parts->vertices[p]];
			if (!first)
				continue;
			count_pieces(parts, below, p, pieces);
			reached += most_in_pieces(parts, pieces, count);
		}
		if (reached >= parts->want)
			return (int32_t)count;
	}
	return (int32_t)parts->want;
}

static int32_t bound_by_uplinks(struct parts *parts)
{
	const struct ga_set_graph *graph = parts->graph;
	int32_t bound = graph->own_uplink;

	split(parts, 1);
	for (size_t kind = 0; kind < GA_SET_UPLINK_KINDS; kind++) {
		int32_t here = graph->uplink[kind] / fewest_pieces(parts, graph->below[kind]);

		if (here < bound)
			bound = here;
	}
	return bound;
}

static int64_t bound_by_ring(struct parts *parts)
{
	int32_t paths = bound_by_paths(parts), uplinks = 0;

	if (parts->graph->shared)
		uplinks = bound_by_uplinks(parts);
	return paths > uplinks ? paths : uplinks;
}

int ga_set_bandwidth_bound(const struct ga_set_graph *graph, const size_t *vertices, size_t count,
			   const bool *required, size_t want, int64_t *ret_bound)
{
	ga_auto_free size_t *part = calloc(2 * count + 2, sizeof *part);
	ga_auto_free int64_t *links = calloc(2 * count + 1, sizeof *links);
	struct parts parts = {
		.graph = graph,
		.vertices = vertices,
		.count = count,
		.required = required,
		.want = want,
		.part = part,
		.queue = part + count,
		.links = links,
	};

	if (!part || !links)
		return GPUALLOC_ENOMEM;
	for (size_t p = 0; p < count; p++)
		parts.required_count += required[vertices[p]];
	*ret_bound = want < 2 ? 0 : bound_by_links(&parts);
	if (want >= 2 && *ret_bound == 0)
		*ret_bound = bound_by_ring(&parts);
	return 0;
}
