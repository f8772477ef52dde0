/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bandwidth of a ring in which some pairs have no path of their own. The ring goes through the
 * vertices in segments. Within a segment each vertex has a path to the next; between two segments
 * traffic goes up to memory and down again. The ring enters and leaves each segment once, so an
 * uplink is shared by all segments that have a vertex below it.
 *
 * A segment is a set of vertices that paths connect. We assume that the ring can go through it
 * without leaving it. That is true of pairs and of vertices that all reach each other, and real
 * machines have no other segments.
 */
#include "graph.h"

#include "cleanup.h"
#include "error.h"

enum { FEW = 64 };

/* The segments of a set; first is indexed by position in the set. */
struct segments {
	const struct ga_set_graph *graph;
	const size_t *set;
	size_t count;
	uint16_t *first; /* for each position, the first position of its segment */
	int32_t slowest; /* the slowest path within a segment */
	bool whole;      /* whether every pair has a path of its own */
};

static void rename_segment(struct segments *segments, uint16_t from, uint16_t to)
{
	for (size_t i = 0; i < segments->count; i++)
		if (segments->first[i] == from)
			segments->first[i] = to;
}

static void find(struct segments *segments)
{
	segments->whole = true;
	segments->slowest = INT32_MAX;
	for (size_t i = 0; i < segments->count; i++) {
		segments->first[i] = (uint16_t)i;
		for (size_t j = 0; j < i; j++) {
			int32_t ring = ga_set_graph_ring(segments->graph, segments->set[i],
							 segments->set[j]);
			uint16_t here = segments->first[i], there = segments->first[j];

			if (ring == 0)
				segments->whole = false;
			else if (ring < segments->slowest)
				segments->slowest = ring;
			if (ring > 0 && here != there)
				rename_segment(segments, here > there ? here : there,
					       here > there ? there : here);
		}
	}
}

/* Whether an earlier vertex of the same segment is below the same uplink. */
static bool is_counted(const struct segments *segments, const int32_t *below, size_t i)
{
	for (size_t j = segments->first[i]; j < i; j++)
		if (segments->first[j] == segments->first[i] &&
		    below[segments->set[j]] == below[segments->set[i]])
			return true;
	return false;
}

/* The most segments below one uplink of this kind. */
static int32_t most_below(const struct segments *segments, const int32_t *below)
{
	int32_t most = 1;

	for (size_t i = 0; i < segments->count; i++) {
		int32_t here = 0;

		for (size_t j = i; j < segments->count; j++)
			here += below[segments->set[j]] == below[segments->set[i]] &&
				!is_counted(segments, below, j);
		if (here > most)
			most = here;
	}
	return most;
}

static int64_t share(struct segments *segments)
{
	const struct ga_set_graph *graph = segments->graph;
	int32_t least = graph->own_uplink;

	find(segments);
	if (segments->whole)
		return ga_set_bottleneck(graph, segments->set, segments->count, 0);
	if (segments->slowest < least)
		least = segments->slowest;
	for (size_t kind = 0; kind < GA_SET_UPLINK_KINDS; kind++) {
		int32_t here = graph->uplink[kind] / most_below(segments, graph->below[kind]);

		if (here < least)
			least = here;
	}
	return least;
}

int64_t ga_set_over_uplinks(const struct ga_set_graph *graph, const size_t *set, size_t count)
{
	uint16_t few[FEW];
	ga_auto_free uint16_t *many = count > FEW ? calloc(count, sizeof *many) : NULL;
	struct segments segments = {graph, set, count, count > FEW ? many : few, 0, false};

	return segments.first ? share(&segments) : GPUALLOC_ENOMEM;
}
