/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A complete graph with the weights that decide what a set of its vertices is worth, as dense
 * tables. Vertices are numbers from 0; a set is an array of them. It only knows weights; the caller
 * who fills it decides what they mean and how many MB/s a link has. It is filled once and then only
 * read.
 */
#ifndef GA_SOLVE_SET_GRAPH_H
#define GA_SOLVE_SET_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most different bandwidths in ring; the most vertices whose neighbours fit in a word. */
enum { GA_SET_RATES_MAX = 16, GA_SET_NEAR_MAX = 64 };

/* What shared traffic passes on its way, one within the other: switches, then sockets. */
enum { GA_SET_UPLINK_KINDS = 2 };

struct ga_set_graph {
	size_t count;
	uint64_t *tables; /* all in one piece */
	int32_t *link;    /* row by row: MB/s over links of the pair's own, 0 without */
	int32_t *ring;  /* MB/s that a ring has here where it also leaves those links; 0: shared */
	int32_t *score; /* how well the pair goes together; more is better */
	int32_t *node;  /* of each vertex, numbered from 0: a set on few nodes is better */
	int32_t ring_most; /* no ring has more than this, and no link less */
	/* ring is the table of a tree (an ultrametric): of the three pairs among three vertices the
	   two slowest are equal. */
	bool tree;
	int32_t rate[GA_SET_RATES_MAX]; /* the bandwidths in ring, rising, without 0 */
	size_t rate_count;
	uint64_t
		*linked; /* by vertex: those that it has a link to; NULL for more than a word has */
	uint64_t *near;  /* by rate and vertex: those that are reached as fast; NULL for trees */
	/* Some pair has no path of its own: what passes between them goes up and down again, and
	   shares every uplink with whatever else is below it. */
	bool shared;
	int32_t *below[GA_SET_UPLINK_KINDS]; /* of each vertex: which uplink it is below */
	int32_t uplink[GA_SET_UPLINK_KINDS]; /* MB/s of one */
	int32_t own_uplink;                  /* MB/s of each vertex */
};

/* All weights are 0; GPUALLOC_ENOMEM or 0. Then every pair is set, then the graph is finished. */
int ga_set_graph_init(struct ga_set_graph *graph, size_t count);
void ga_set_graph_pair(struct ga_set_graph *graph, size_t a, size_t b, int32_t link, int32_t ring,
		       int32_t score);
int ga_set_graph_finish(struct ga_set_graph *graph);
/* The same, but quicker, for a small graph that is asked about only one set. */
int ga_set_graph_finish_briefly(struct ga_set_graph *graph);
void ga_set_graph_free(struct ga_set_graph *graph);
#define ga_auto_set_graph ga_cleanup(ga_set_graph_free)

static inline int32_t ga_set_graph_link(const struct ga_set_graph *graph, size_t a, size_t b)
{
	return graph->link[a * graph->count + b];
}

static inline int32_t ga_set_graph_ring(const struct ga_set_graph *graph, size_t a, size_t b)
{
	return graph->ring[a * graph->count + b];
}

static inline int32_t ga_set_graph_score(const struct ga_set_graph *graph, size_t a, size_t b)
{
	return graph->score[a * graph->count + b];
}

/* Whether swapping the two changes nothing: the same links to all others, and the same node. */
bool ga_set_graph_twins(const struct ga_set_graph *graph, size_t a, size_t b);

/* Sum of the pair scores. */
int64_t ga_set_graph_sum(const struct ga_set_graph *graph, const size_t *set, size_t count);

/* The least weight of links that joins one of the set to the rest of it. */
int64_t ga_set_least_degree(const struct ga_set_graph *graph, const size_t *set, size_t count);

/*
 * Predicted collective bandwidth of two or more, in MB/s: the minimum cut of the links, else what
 * the best ring has. A result below floor may be lower than the true value. GPUALLOC_ENOMEM is the
 * only negative answer.
 */
int64_t ga_set_bandwidth(const struct ga_set_graph *graph, const size_t *set, size_t count,
			 int64_t floor);

/* Its parts. A cut of 0: the links do not hold the set together. */
int64_t ga_set_min_cut(const struct ga_set_graph *graph, const size_t *set, size_t count,
		       int64_t least_degree);
int64_t ga_set_ring(const struct ga_set_graph *graph, const size_t *set, size_t count,
		    int64_t floor);
/* Of a ring whose pairs all have a path of their own. */
int32_t ga_set_bottleneck(const struct ga_set_graph *graph, const size_t *set, size_t count,
			  int32_t floor);
/* The same where the slowest pair, which any ring reaches, is known. */
int32_t ga_set_bottleneck_from(const struct ga_set_graph *graph, const size_t *set, size_t count,
			       int32_t reached, int32_t floor);
/* Of a ring that uses shared uplinks; if it need not, the bottleneck. */
int64_t ga_set_over_uplinks(const struct ga_set_graph *graph, const size_t *set, size_t count);

/*
 * An upper bound in MB/s on the bandwidth of any set of want of these vertices that has all the
 * required ones.
 */
int ga_set_bandwidth_bound(const struct ga_set_graph *graph, const size_t *vertices, size_t count,
			   const bool *required, size_t want, int64_t *ret_bound);

/*
 * An order of all vertices in which neighbours, the last and the first among them, are near: the
 * ring of the nearest next vertex, from the start that gives the most. scratch and ret_order have
 * room for all.
 */
void ga_set_ring_order(const struct ga_set_graph *graph, size_t *scratch, size_t *ret_order);

#endif
