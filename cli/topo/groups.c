/* SPDX-License-Identifier: Apache-2.0 */
/* Groups of GPUs; see groups.h. */
#include "groups.h"

#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

static const enum gpualloc_level levels[] = {
	[GROUP_HOST] = GPUALLOC_LEVEL_SYS, [GROUP_NUMA] = GPUALLOC_LEVEL_NODE,
	[GROUP_PHB] = GPUALLOC_LEVEL_PHB,  [GROUP_PXB] = GPUALLOC_LEVEL_PXB,
	[GROUP_PIX] = GPUALLOC_LEVEL_PIX,  [GROUP_BOARD] = GPUALLOC_LEVEL_BOARD,
};

void groups_free(struct groups *groups)
{
	free(groups->order);
	free(groups->groups);
	free(groups->fabric);
	free(groups->node);
	free(groups->scratch);
}

static int64_t numa_of(const struct groups *groups, size_t device)
{
	return gpualloc_device_numa(gpualloc_machine_device(groups->machine, device));
}

static bool together(const struct groups *groups, enum group_kind kind, size_t a, size_t b)
{
	enum gpualloc_level level = gpualloc_machine_level(groups->machine, a, b);
	int64_t numa = numa_of(groups, a), other = numa_of(groups, b);

	if (kind == GROUP_NUMA && numa >= 0 && other >= 0)
		return numa == other;
	if (kind == GROUP_NUMA && numa < 0 && other < 0 && level == GPUALLOC_LEVEL_UNKNOWN)
		return true;
	return level >= levels[kind];
}

/* Moves to the front of order[first … last) everything that hangs together with order[first];
 * returns where that ends. The rest keeps its order. */
static size_t gather(struct groups *groups, enum group_kind kind, size_t first, size_t last)
{
	size_t *order = groups->order, end = first + 1;

	for (size_t member = first; member < end; member++)
		for (size_t i = end; i < last; i++) {
			size_t found = order[i];

			if (!together(groups, kind, order[member], found))
				continue;
			memmove(order + end + 1, order + end, (i - end) * sizeof *order);
			order[end++] = found;
		}
	return end;
}

static int by_number(const void *a, const void *b)
{
	const size_t *one = a, *other = b;

	return *one < *other ? -1 : *one > *other;
}

static bool is_one(const struct groups *groups, enum group_kind kind, size_t first, size_t last)
{
	struct groups copy = *groups;

	copy.order = groups->scratch;
	memcpy(copy.order, groups->order, groups->count * sizeof *copy.order);
	return gather(&copy, kind, first, last) == last;
}

/* Whether a group is worth a box: a NUMA node always is, others if they say something new. */
static bool is_shown(const struct groups *groups, enum group_kind kind, size_t first, size_t last,
		     size_t numa_size)
{
	size_t size = last - first;

	if (kind == GROUP_NUMA)
		return true;
	if (size < 2 || (kind == GROUP_HOST && size == groups->count) ||
	    (kind == GROUP_PHB && size == numa_size))
		return false;
	return kind == GROUP_HOST || kind == GROUP_BOARD ||
	       !is_one(groups, (enum group_kind)(kind + 1), first, last);
}

/* A machine on which some GPU's place is unknown is not many hosts. */
static bool hosts_are_known(struct groups *groups)
{
	for (size_t first = 0, last; first < groups->count; first = last) {
		last = gather(groups, GROUP_HOST, first, groups->count);
		if (last - first < 2)
			return false;
	}
	return true;
}

static void split(struct groups *groups, enum group_kind kind, size_t first, size_t last,
		  size_t numa_size)
{
	for (size_t end; first < last; first = end) {
		size_t size;

		end = gather(groups, kind, first, last);
		qsort(groups->order + first, end - first, sizeof *groups->order, by_number);
		size = kind == GROUP_NUMA ? end - first : numa_size;
		for (size_t i = first; kind == GROUP_NUMA && i < end; i++)
			groups->node[groups->order[i]] = first;
		if (is_shown(groups, kind, first, end, size)) {
			groups->groups[groups->group_count++] = (struct group){kind, first, end};
			groups->used[kind] = true;
		}
		if (kind < GROUP_BOARD)
			split(groups, (enum group_kind)(kind + 1), first, end, size);
	}
}

/* ---- fabrics ---- */

static int nvlinks(const struct groups *groups, size_t a, size_t b)
{
	return a == b ? 0 : gpualloc_machine_link_count(groups->machine, a, b);
}

static int most_links(const struct groups *groups, size_t device)
{
	int most = 0;

	for (size_t i = 0; i < groups->count; i++)
		if (nvlinks(groups, device, i) > most)
			most = nvlinks(groups, device, i);
	return most;
}

int fabric_links(const struct groups *groups, size_t device)
{
	return groups->fabric[device] ? most_links(groups, device) : 0;
}

/* The most links a GPU can have; with more they must go through switches. */
static int links_possible(const struct groups *groups, size_t device)
{
	const gpualloc_device *gpu = gpualloc_machine_device(groups->machine, device);

	switch (gpualloc_device_link_version(gpu)) {
	case 1: return 4;
	case 2: return 6;
	case 3: return 12;
	default: return 18;
	}
}

/*
 * A device and those it has links to are one fabric if every pair has as many links as the lesser
 * of the two has in all, and these are more than could be plugged in.
 */
static void find_fabric(struct groups *groups, size_t device, const int *most, size_t *members)
{
	size_t count = 0;

	for (size_t i = 0; i < groups->count; i++)
		if (i == device || nvlinks(groups, device, i) > 0)
			members[count++] = i;
	if (count < 3 || (int)(count - 1) * most[device] <= links_possible(groups, device))
		return;
	for (size_t a = 0; a < count; a++)
		for (size_t b = a + 1; b < count; b++) {
			int one = most[members[a]], other = most[members[b]];

			if (nvlinks(groups, members[a], members[b]) != (one < other ? one : other))
				return;
		}
	groups->fabric_count++;
	for (size_t i = 0; i < count; i++)
		groups->fabric[members[i]] = groups->fabric_count;
}

static bool find_fabrics(struct groups *groups)
{
	ga_auto_free size_t *members = calloc(groups->count + 1, sizeof *members);
	ga_auto_free int *most = calloc(groups->count + 1, sizeof *most);

	if (!members || !most)
		return false;
	for (size_t i = 0; i < groups->count; i++)
		most[i] = most_links(groups, i);
	for (size_t i = 0; i < groups->count; i++)
		if (!groups->fabric[i] && most[i] > 0)
			find_fabric(groups, i, most, members);
	return true;
}

bool groups_make(struct groups *groups, const gpualloc_machine *machine)
{
	size_t count = gpualloc_machine_device_count(machine);

	*groups = (struct groups){.machine = machine, .count = count};
	groups->order = calloc(count + 1, sizeof *groups->order);
	groups->groups = calloc(count * GROUP_KINDS + 1, sizeof *groups->groups);
	groups->fabric = calloc(count + 1, sizeof *groups->fabric);
	groups->node = calloc(count + 1, sizeof *groups->node);
	groups->scratch = calloc(count + 1, sizeof *groups->scratch);
	if (!groups->order || !groups->groups || !groups->fabric || !groups->node ||
	    !groups->scratch)
		return false;
	for (size_t i = 0; i < count; i++)
		groups->order[i] = i;
	if (hosts_are_known(groups)) {
		split(groups, GROUP_HOST, 0, count, 0);
	} else {
		qsort(groups->order, count, sizeof *groups->order, by_number);
		split(groups, GROUP_NUMA, 0, count, 0);
	}
	return find_fabrics(groups);
}
