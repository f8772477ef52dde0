/* SPDX-License-Identifier: Apache-2.0 */
/* GPUs of a machine as a graph of weights for the solver. */
#ifndef GA_POLICY_MACHINE_GRAPH_H
#define GA_POLICY_MACHINE_GRAPH_H

#include "machine.h"
#include "set/graph.h"

/*
 * The graph of the GPUs at these places of the machine. A place may appear twice (two MIG
 * instances). Links are in MB/s, scores are pair scores, nodes are NUMA nodes; unknown counts as a
 * node too.
 */
int ga_graph_of_machine(const gpualloc_machine *machine, const size_t *places, size_t count,
			struct ga_set_graph *ret_graph);
/* The same, if only the whole set is asked about, once. */
int ga_graph_of_set(const gpualloc_machine *machine, const size_t *places, size_t count,
		    struct ga_set_graph *ret_graph);

#endif
