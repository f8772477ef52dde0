/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCIe levels that a matrix hides under NVLinks. Levels come from a tree: "at least this close"
 * is an equivalence at every level, so a pair is as close as the closest chain of known links
 * between them, through GPUs and NICs alike. If the known links do not form a tree, or affinity and
 * links contradict each other, nothing is inferred from them.
 */
#include "matrix.h"

#include "cleanup.h"
#include "device_set.h"

#include <string.h>

enum { CPUS_MAX = 8192 };

/* Where a device is, from its affinity, in a form that can be compared. */
struct location {
	int64_t numa;
	const char *list;          /* of CPUs, as printed; NULL if not known */
	struct ga_device_set cpus; /* of these CPUs */
};

struct inference {
	const struct ga_topo_links *read;
	gpualloc_machine *machine;
	struct location *locations;
	size_t count;    /* of locations */
	size_t *parent;  /* union-find over columns */
	bool *broken;    /* the group with this root has a link in it that is too far */
	bool lists_tell; /* lists of CPUs differ, so they do not come from a cgroup */
};

static void inference_clear(struct inference *inference)
{
	for (size_t i = 0; i < inference->count; i++)
		ga_device_set_free(&inference->locations[i].cpus);
	free(inference->locations);
	free(inference->parent);
	free(inference->broken);
}
#define auto_inference ga_cleanup(inference_clear)

/* ---- affinity ---- */

static size_t take_number(const char **text)
{
	size_t number = 0;

	for (; **text >= '0' && **text <= '9'; (*text)++)
		number = number < CPUS_MAX ? number * 10 + (size_t)(**text - '0') : number;
	return number;
}

/* False if the list is not as the tool writes it, up to where it may be cut. */
static bool read_cpus(const char *list, struct ga_device_set *cpus)
{
	while (*list) {
		size_t first = take_number(&list), last = first;

		if (*list == '-' && *++list)
			last = take_number(&list);
		if (first > last || last >= CPUS_MAX || (*list && *list != ','))
			return false;
		for (; first <= last; first++)
			ga_device_set_add(cpus, first);
		list += *list == ',';
	}
	return true;
}

static int find_locations(struct inference *inference)
{
	const gpualloc_machine *machine = inference->machine;

	for (; inference->count < machine->device_count; inference->count++) {
		struct location *location = &inference->locations[inference->count];
		const struct gpualloc_device *device = &machine->devices[inference->count];

		location->numa = device->numa;
		if (!device->cpus)
			continue;
		if (!ga_device_set_init(&location->cpus, CPUS_MAX))
			return GPUALLOC_ENOMEM;
		if (read_cpus(device->cpus, &location->cpus))
			location->list = device->cpus;
	}
	return 0;
}

static bool lists_are_apart(const struct location *a, const struct location *b)
{
	return a->list && b->list && !ga_device_set_meets(&a->cpus, &b->cpus);
}

static bool is_apart(const struct location *a, const struct location *b)
{
	if (a->numa >= 0 && b->numa >= 0)
		return a->numa != b->numa;
	return lists_are_apart(a, b);
}

static bool is_same_node(const struct inference *inference, const struct location *a,
			 const struct location *b)
{
	if (a->numa >= 0 && b->numa >= 0)
		return a->numa == b->numa;
	return inference->lists_tell && a->list && b->list && strcmp(a->list, b->list) == 0;
}

/* Whether every known link between separate places is SYS; also sets lists_tell. */
static bool apart_means_sys(struct inference *inference)
{
	const struct ga_links *links = &inference->machine->links;
	bool agrees = true;

	for (size_t i = 0; i < inference->count; i++)
		for (size_t j = i + 1; j < inference->count; j++) {
			const struct location *a = &inference->locations[i];
			const struct location *b = &inference->locations[j];

			if (!inference->lists_tell && lists_are_apart(a, b))
				inference->lists_tell = true;
			if (ga_links_level(links, i, j) > GPUALLOC_LEVEL_SYS && is_apart(a, b))
				agrees = false;
		}
	return agrees;
}

/* ---- groups ---- */

static size_t root_of(struct inference *inference, size_t column)
{
	size_t *parent = inference->parent;

	while (parent[column] != column) {
		parent[column] = parent[parent[column]];
		column = parent[column];
	}
	return column;
}

static void unite(struct inference *inference, size_t a, size_t b)
{
	a = root_of(inference, a);
	b = root_of(inference, b);
	inference->parent[a > b ? a : b] = a > b ? b : a;
}

static void unite_level(struct inference *inference, enum gpualloc_level level)
{
	const struct ga_topo_links *read = inference->read;

	for (size_t i = 0; i < inference->count; i++)
		for (size_t c = 0; c < read->columns; c++)
			if (read->cells[i][c].level == level)
				unite(inference, read->own[i], c);
}

/* How many links inside groups are farther than the level that groups them. */
static size_t mark_broken(struct inference *inference, enum gpualloc_level level)
{
	const struct ga_topo_links *read = inference->read;
	size_t count = 0;

	memset(inference->broken, 0, read->columns * sizeof *inference->broken);
	for (size_t i = 0; i < inference->count; i++) {
		size_t root = root_of(inference, read->own[i]);

		for (size_t c = 0; c < read->columns; c++) {
			enum gpualloc_level seen = read->cells[i][c].level;

			if (seen == GPUALLOC_LEVEL_UNKNOWN || seen >= level ||
			    root_of(inference, c) != root)
				continue;
			inference->broken[root] = true;
			count++;
		}
	}
	return count;
}

/* Devices of one NUMA node are at least NODE, unless a known link says otherwise. */
static int unite_nodes(struct inference *inference)
{
	const struct ga_topo_links *read = inference->read;
	size_t size = read->columns * sizeof *inference->parent;
	size_t before = mark_broken(inference, GPUALLOC_LEVEL_NODE);
	ga_auto_free size_t *kept = malloc(size);

	if (!kept)
		return GPUALLOC_ENOMEM;
	memcpy(kept, inference->parent, size);
	for (size_t i = 0; i < inference->count; i++)
		for (size_t j = i + 1; j < inference->count; j++)
			if (is_same_node(inference, &inference->locations[i],
					 &inference->locations[j]))
				unite(inference, read->own[i], read->own[j]);
	if (mark_broken(inference, GPUALLOC_LEVEL_NODE) > before)
		memcpy(inference->parent, kept, size);
	return 0;
}

/* ---- inferring ---- */

/* NVLinks without a level: nvidia-smi shows only one of the two. */
static bool is_hidden(const struct ga_links *links, size_t i, size_t j)
{
	return ga_links_level(links, i, j) == GPUALLOC_LEVEL_UNKNOWN &&
	       ga_links_nvlinks(links, i, j) > 0;
}

static void conclude(struct ga_links *links, size_t i, size_t j, enum gpualloc_level level)
{
	ga_links_set_level(links, i, j, level);
	ga_links_set_inferred(links, i, j, true);
}

static void conclude_groups(struct inference *inference, enum gpualloc_level level)
{
	struct ga_links *links = &inference->machine->links;
	const size_t *own = inference->read->own;

	(void)mark_broken(inference, level);
	for (size_t i = 0; i < inference->count; i++) {
		size_t root = root_of(inference, own[i]);

		if (inference->broken[root])
			continue;
		for (size_t j = i + 1; j < inference->count; j++)
			if (is_hidden(links, i, j) && root_of(inference, own[j]) == root)
				conclude(links, i, j, level);
	}
}

static void conclude_apart(const struct inference *inference)
{
	struct ga_links *links = &inference->machine->links;

	for (size_t i = 0; i < inference->count; i++)
		for (size_t j = i + 1; j < inference->count; j++)
			if (is_hidden(links, i, j) &&
			    is_apart(&inference->locations[i], &inference->locations[j]))
				conclude(links, i, j, GPUALLOC_LEVEL_SYS);
}

int ga_topo_infer(const struct ga_topo_links *read, gpualloc_machine *machine)
{
	auto_inference struct inference inference = {.read = read, .machine = machine};
	bool apart;

	inference.locations = calloc(machine->device_count, sizeof *inference.locations);
	inference.parent = calloc(read->columns, sizeof *inference.parent);
	inference.broken = calloc(read->columns, sizeof *inference.broken);
	if (!inference.locations || !inference.parent || !inference.broken ||
	    find_locations(&inference) < 0)
		return GPUALLOC_ENOMEM;
	for (size_t c = 0; c < read->columns; c++)
		inference.parent[c] = c;
	apart = apart_means_sys(&inference);
	for (int level = GPUALLOC_LEVEL_BOARD; level >= GPUALLOC_LEVEL_SYS; level--) {
		unite_level(&inference, (enum gpualloc_level)level);
		if (level == GPUALLOC_LEVEL_NODE && unite_nodes(&inference) < 0)
			return GPUALLOC_ENOMEM;
		conclude_groups(&inference, (enum gpualloc_level)level);
	}
	if (apart)
		conclude_apart(&inference);
	return 0;
}
