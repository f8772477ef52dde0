/* SPDX-License-Identifier: Apache-2.0 */
/* Devices as a graph, and the ring that the solver finds in it; see order.h. */
#include "order.h"

#include "cleanup.h"
#include "machine_graph.h"

#include <string.h>

static int compare_places(const void *a, const void *b)
{
	size_t one = *(const size_t *)a, other = *(const size_t *)b;

	return (one > other) - (one < other);
}

int ga_order_devices(const gpualloc_machine *machine, const gpualloc_device **devices, size_t count,
		     gpualloc_error *error)
{
	ga_auto_set_graph struct ga_set_graph graph = {0};
	ga_auto_free size_t *places = calloc(count + 1, sizeof *places);
	ga_auto_free size_t *order = calloc(2 * count + 1, sizeof *order);

	if (!places || !order)
		return ga_error_memory(error);
	for (size_t i = 0; i < count; i++) {
		if (devices[i]->parent)
			return 0;
		places[i] = (size_t)(devices[i] - machine->devices);
	}
	if (count < 2)
		return 0;
	qsort(places, count, sizeof *places, compare_places);
	if (ga_graph_of_machine(machine, places, count, &graph) < 0)
		return ga_error_memory(error);
	ga_set_ring_order(&graph, order + count, order);
	for (size_t i = 0; i < count; i++)
		devices[i] = &machine->devices[places[order[i]]];
	return 0;
}
