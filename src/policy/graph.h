/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The links between those devices of a machine that a question is about, as dense tables, and what
 * a set of them is worth. Vertices are numbers from 0; a set of vertices is an array of them. Built
 * once, then only read.
 */
#ifndef GA_POLICY_GRAPH_H
#define GA_POLICY_GRAPH_H

#include "policy.h"

struct ga_graph {
	size_t count;
	int32_t *nvlink; /* row by row: MB/s over NVLinks, 0 without */
	int32_t *ring; /* MB/s that a ring has here where it also needs PCIe: at most its maximum */
	int32_t *score; /* pair score */
	int32_t *node;  /* NUMA node, numbered from 0; not known is a node too */
	/* ring is the table of a tree: of any three pairs among three vertices the two slowest are
	   equal. So it is where PCIe alone decides. */
	bool tree;
};

/* Of the GPUs at these places of the machine; one place may come twice (two MIG instances). */
int ga_graph_init(const gpualloc_machine *machine, const size_t *places, size_t count,
		  struct ga_graph *ret_graph);
void ga_graph_free(struct ga_graph *graph);
#define ga_auto_graph ga_cleanup(ga_graph_free)

static inline int32_t ga_graph_nvlink(const struct ga_graph *graph, size_t a, size_t b)
{
	return graph->nvlink[a * graph->count + b];
}

static inline int32_t ga_graph_ring(const struct ga_graph *graph, size_t a, size_t b)
{
	return graph->ring[a * graph->count + b];
}

static inline int32_t ga_graph_score(const struct ga_graph *graph, size_t a, size_t b)
{
	return graph->score[a * graph->count + b];
}

/* Whether exchanging the two changes nothing: the same links to all others, the same node. */
bool ga_graph_twins(const struct ga_graph *graph, size_t a, size_t b);

/* Sum of the pair scores. */
int64_t ga_graph_sum(const struct ga_graph *graph, const size_t *set, size_t count);

/* The least NVLink bandwidth that joins one of the set to the rest of it. */
int64_t ga_graph_least_degree(const struct ga_graph *graph, const size_t *set, size_t count);

/*
 * Predicted collective bandwidth of two or more, in MB/s: the minimum cut of the NVLinks, else the
 * bottleneck of the best ring. What has less than floor may be said to have less still.
 * GPUALLOC_ENOMEM is the one negative answer.
 */
int64_t ga_graph_bandwidth(const struct ga_graph *graph, const size_t *set, size_t count,
			   int64_t floor);

/* Its two parts. A cut of 0: the NVLinks do not hold the set together. */
int64_t ga_graph_cut(const struct ga_graph *graph, const size_t *set, size_t count,
		     int64_t least_degree);
int32_t ga_graph_bottleneck(const struct ga_graph *graph, const size_t *set, size_t count,
			    int32_t floor);

#endif
