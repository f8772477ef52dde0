/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A complete graph, as dense tables of the weights that decide the value of a set of its vertices.
 * Vertices are numbers from 0, and a set is an array of them. The graph knows only weights. The
 * caller fills it, and decides what the weights mean and how many MB/s a link has. The graph is
 * filled once and then only read.
 */
#ifndef GA_SOLVE_SET_GRAPH_H
#define GA_SOLVE_SET_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most different bandwidths in ring, and the most vertices whose neighbours fit in a word. */
enum { GA_SET_RATES_MAX = 16, GA_SET_NEAR_MAX = 64 };

/* The kinds of uplink that shared traffic passes, from the inside out: switches, then sockets. */
enum { GA_SET_UPLINK_KINDS = 2 };

struct ga_set_graph {
	size_t count;
	uint64_t *tables; /* all tables in one allocation */
	int32_t *link;    /* row by row: MB/s over the pair's own links, 0 if it has none */
	/* MB/s of a ring here if it does not stay on those links; 0: the traffic is shared */
	int32_t *ring;
	int32_t *score;    /* how well the two fit together; more is better */
	int32_t *node;     /* the node of each vertex, from 0; a set on fewer nodes is better */
	int32_t ring_most; /* no ring is faster than this, and no link is slower */
	/*
	 * Whether ring is the table of a tree (an ultrametric): among any three vertices, the two
	 * slowest of the three pairs are equal.
	 */
	bool tree;
	int32_t rate[GA_SET_RATES_MAX]; /* the bandwidths in ring, rising, without 0 */
	size_t rate_count;
	/* For each vertex, the vertices that it links to; NULL if they do not fit in a word. */
	uint64_t *linked;
	/* by rate and vertex: the vertices reached at that rate or faster; NULL for trees */
	uint64_t *near;
	/*
	 * Whether some pair has no path of its own. The traffic between such a pair goes up and
	 * down again, and shares every uplink with the other traffic from below it.
	 */
	bool shared;
	int32_t *below[GA_SET_UPLINK_KINDS]; /* for each vertex, the uplink that it is below */
	int32_t uplink[GA_SET_UPLINK_KINDS]; /* MB/s of one uplink of the kind */
	int32_t own_uplink;                  /* MB/s of each vertex's own uplink */
};

/*
 * Makes a graph whose weights are all 0. Returns 0 or GPUALLOC_ENOMEM. After this, set every pair
 * and then finish the graph.
 */
int ga_set_graph_init(struct ga_set_graph *graph, size_t count);
void ga_set_graph_pair(struct ga_set_graph *graph, size_t a, size_t b, int32_t link, int32_t ring,
		       int32_t score);
int ga_set_graph_finish(struct ga_set_graph *graph);
/* The same, but quicker; for a small graph that is used for only one set. */
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

/* The sum of the pair scores. */
int64_t ga_set_graph_sum(const struct ga_set_graph *graph, const size_t *set, size_t count);

/* The links of each member to the rest of the set are added up; this is the least of these sums. */
int64_t ga_set_least_degree(const struct ga_set_graph *graph, const size_t *set, size_t count);

/*
 * The predicted collective bandwidth of two or more vertices, in MB/s: the minimum cut of the
 * links, or the bandwidth of the best ring if the links do not connect the set. A result below
 * floor may be lower than the true value. GPUALLOC_ENOMEM is the only negative result.
 */
int64_t ga_set_bandwidth(const struct ga_set_graph *graph, const size_t *set, size_t count,
			 int64_t floor);

/* The two parts of ga_set_bandwidth(). A cut of 0 means that the links do not connect the set. */
int64_t ga_set_min_cut(const struct ga_set_graph *graph, const size_t *set, size_t count,
		       int64_t least_degree);
int64_t ga_set_ring(const struct ga_set_graph *graph, const size_t *set, size_t count,
		    int64_t floor);
/* The bandwidth of the best ring if every pair has a path of its own. */
int32_t ga_set_bottleneck(const struct ga_set_graph *graph, const size_t *set, size_t count,
			  int32_t floor);
/* The same if the bandwidth of the slowest pair, which every ring reaches, is known already. */
int32_t ga_set_bottleneck_from(const struct ga_set_graph *graph, const size_t *set, size_t count,
			       int32_t reached, int32_t floor);
/*
 * The bandwidth of a ring that uses shared uplinks. If the set does not need them, this is the
 * bottleneck.
 */
int64_t ga_set_over_uplinks(const struct ga_set_graph *graph, const size_t *set, size_t count);

/*
 * An upper bound, in MB/s, on the bandwidth of every set that has want of these vertices, all
 * required ones among them.
 */
int ga_set_bandwidth_bound(const struct ga_set_graph *graph, const size_t *vertices, size_t count,
			   const bool *required, size_t want, int64_t *ret_bound);

/*
 * Puts all vertices in an order in which neighbours are near; the last and the first count as
 * neighbours too. From each start, the order goes on to the nearest vertex each time; the start
 * that gives the most wins. scratch and ret_order have room for all vertices.
 */
void ga_set_ring_order(const struct ga_set_graph *graph, size_t *scratch, size_t *ret_order);

#endif
