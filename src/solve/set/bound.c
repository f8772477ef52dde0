/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much bandwidth a set can have at most. Over links it must lie within one connected part that
 * is large enough, and no member has more than its want-1 best links there carry. Where there is no
 * such part, a ring: the fastest bandwidth that holds enough vertices together.
 */
#include "graph.h"

#include "cleanup.h"
#include "error.h"

#define NO_PART SIZE_MAX

struct parts {
	const struct ga_set_graph *graph;
	const size_t *vertices;
	size_t count;
	const bool *required;
	size_t required_count;
	size_t want;
	size_t *part; /* by position: the first position of its part */
	size_t *queue;
	int64_t *links; /* of one vertex, then one number for each */
};

static bool joined(const struct parts *parts, size_t p, size_t q, int32_t rate)
{
	size_t a = parts->vertices[p], b = parts->vertices[q];

	return rate > 0 ? ga_set_graph_ring(parts->graph, a, b) >= rate
			: ga_set_graph_link(parts->graph, a, b) > 0;
}

/* Parts that hold together by rings of this rate or more; rate 0: by links alone. */
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

/* Whether the part is large enough and has all that is required. */
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

/* What the want-1 best links of a vertex carry. */
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

/* The want-th largest reach in the part, for a set is as weak as its weakest member. */
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

/* The fastest ring between two of these vertices that is slower than below; 0 where none is. */
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

/* A ring with at least this everywhere lies within one part that this holds together. */
static int64_t bound_by_ring(struct parts *parts)
{
	int32_t rate = next_slower(parts, INT32_MAX), slower;

	for (; (slower = next_slower(parts, rate)) > 0; rate = slower) {
		split(parts, rate);
		for (size_t part = 0; part < parts->count; part++)
			if (parts->part[part] == part && serves(parts, part))
				return rate;
	}
	return rate;
}

int ga_set_bandwidth_bound(const struct ga_set_graph *graph, const size_t *vertices, size_t count,
			   const bool *required, size_t want, int64_t *ret_bound)
{
	ga_auto_free size_t *part = calloc(2 * count + 1, sizeof *part);
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
