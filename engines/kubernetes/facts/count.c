/* SPDX-License-Identifier: Apache-2.0 */
/* Counting free GPUs and the groups that they form; see facts.h. */
#include "facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct free_gpus {
	const gpualloc_machine *machine;
	const struct unit **list;
	size_t count;
};

typedef bool are_joined(const gpualloc_machine *machine, size_t one, size_t other);

static bool by_links(const gpualloc_machine *machine, size_t one, size_t other)
{
	return gpualloc_machine_link_count(machine, one, other) > 0;
}

static bool by_switch(const gpualloc_machine *machine, size_t one, size_t other)
{
	return gpualloc_machine_level(machine, one, other) >= GPUALLOC_LEVEL_PXB;
}

/* The size of the group around the first that is in none yet. */
static size_t fill_group(const struct free_gpus *gpus, are_joined *joined, bool *is_in,
			 size_t first, size_t *queue)
{
	size_t size = 0;

	queue[size++] = first;
	is_in[first] = true;
	for (size_t at = 0; at < size; at++)
		for (size_t i = 0; i < gpus->count; i++)
			if (!is_in[i] &&
			    joined(gpus->machine, (size_t)gpus->list[queue[at]]->number,
				   (size_t)gpus->list[i]->number)) {
				is_in[i] = true;
				queue[size++] = i;
			}
	return size;
}

/* Of free GPUs that are all joined with each other, if need be by others of them. */
static int find_largest(const struct free_gpus *gpus, are_joined *joined, size_t *ret_largest)
{
	ga_auto_free bool *is_in = calloc(gpus->count + 1, sizeof *is_in);
	ga_auto_free size_t *queue = calloc(gpus->count + 1, sizeof *queue);

	*ret_largest = 0;
	if (!is_in || !queue)
		return -1;
	for (size_t i = 0; i < gpus->count; i++) {
		size_t size = is_in[i] ? 0 : fill_group(gpus, joined, is_in, i, queue);

		*ret_largest = size > *ret_largest ? size : *ret_largest;
	}
	return 0;
}

static int add(json_t *facts, const char *name, size_t number)
{
	return json_object_set_new(facts, name, json_integer((json_int_t)number));
}

/* Nodes of which no GPU is free are told too. */
static int count_nodes(json_t *facts, const struct inventory *inventory,
		       const struct free_gpus *gpus)
{
	int result = 0;

	for (size_t i = 0; i < inventory->count; i++) {
		int64_t numa = inventory->units[i].numa;
		char name[48];
		size_t count = 0;

		if (numa < 0 || inventory->units[i].instance >= 0)
			continue;
		for (size_t j = 0; j < gpus->count; j++)
			count += gpus->list[j]->numa == numa;
		(void)snprintf(name, sizeof name, "free-numa-%" PRId64, numa);
		result |= add(facts, name, count);
	}
	return result;
}

json_t *facts_count(struct inventory *inventory, const struct settings *settings, int64_t now)
{
	ga_auto_free const struct unit **list = calloc(inventory->count + 1, sizeof(void *));
	struct free_gpus gpus = {.machine = inventory->machine, .list = list};
	json_t *facts = json_object();
	size_t linked, below_switch;

	for (size_t i = 0; list && i < inventory->count; i++) {
		struct unit *unit = &inventory->units[i];

		if (unit->instance < 0 && unit->number >= 0 && !unit->is_ours &&
		    unit_is_healthy(unit, inventory, settings, now))
			list[gpus.count++] = unit;
	}
	if (!list || !facts || find_largest(&gpus, by_links, &linked) < 0 ||
	    find_largest(&gpus, by_switch, &below_switch) < 0 ||
	    add(facts, "free", gpus.count) < 0 || add(facts, "largest-linked", linked) < 0 ||
	    add(facts, "largest-pcie-switch", below_switch) < 0 ||
	    count_nodes(facts, inventory, &gpus) < 0) {
		json_decref(facts);
		return NULL;
	}
	return facts;
}
