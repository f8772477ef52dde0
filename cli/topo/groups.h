/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which GPUs belong together: the hosts, NUMA nodes and PCIe switches of a machine as a tree over
 * its devices, in an order in which no group has a gap. Also which of them one NVSwitch fabric
 * joins.
 */
#ifndef CLI_TOPO_GROUPS_H
#define CLI_TOPO_GROUPS_H

#include <gpualloc/gpualloc.h>
#include <stdbool.h>
#include <stddef.h>

/* From the outside in. */
enum group_kind {
	GROUP_HOST,
	GROUP_NUMA,
	GROUP_PHB,
	GROUP_PXB,
	GROUP_PIX,
	GROUP_BOARD,
	GROUP_KINDS
};

struct group {
	enum group_kind kind;
	size_t first, last; /* order[first] … order[last - 1] */
};

struct groups {
	const gpualloc_machine *machine;
	size_t count;         /* of devices */
	size_t *order;        /* devices in the order in which they are drawn */
	struct group *groups; /* each before the groups within it */
	size_t group_count;
	bool used[GROUP_KINDS];
	size_t *node; /* by device: which NUMA node it is in, whether or not the number is known */
	size_t *scratch; /* room for another order */
	size_t *fabric;  /* by device: which fabric it is on, from 1; 0 for none */
	size_t fabric_count;
};

/* False if there is no memory. */
bool groups_make(struct groups *groups, const gpualloc_machine *machine);
void groups_free(struct groups *groups);

/* The most NVLinks that a device has to any other on its fabric. */
int fabric_links(const struct groups *groups, size_t device);

#endif
