/* SPDX-License-Identifier: Apache-2.0 */
/* GPUs of a machine as a graph of weights for the solver. */
#ifndef GA_POLICY_MACHINE_GRAPH_H
#define GA_POLICY_MACHINE_GRAPH_H

#include "machine.h"
#include "set/graph.h"

/*
 * Of the GPUs at these places of the machine; one place may come twice (two MIG instances). Links
 * are in MB/s, scores are those of pairs, nodes are NUMA nodes; not known is a node too.
 */
int ga_graph_of_machine(const gpualloc_machine *machine, const size_t *places, size_t count,
			struct ga_set_graph *ret_graph);
/* The same where it is these together that are asked about, once. */
int ga_graph_of_set(const gpualloc_machine *machine, const size_t *places, size_t count,
		    struct ga_set_graph *ret_graph);

#endif
