/* SPDX-License-Identifier: Apache-2.0 */
/* The maps' entries; see maps.h. */
#include "maps.h"

#include "cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* As the kernel counts devices, in one word. */
enum { MINOR_BITS = 20, MINOR_MASK = (1 << MINOR_BITS) - 1 };

static uint32_t kernel_number(dev_t device)
{
	return (uint32_t)(major(device) << MINOR_BITS | (minor(device) & MINOR_MASK));
}

static dev_t number_of(uint32_t kernel)
{
	return makedev(kernel >> MINOR_BITS, kernel & MINOR_MASK);
}

static int failed(const char *what, gpualloc_error *error)
{
	return ga_error_errno(error, GPUALLOC_EIMPOSSIBLE, errno, "the fence's %s", what);
}

/* ---- the maps ---- */

void fence_maps_close(struct fence_maps *maps)
{
	ga_close_and_forget(&maps->settings);
	ga_close_and_forget(&maps->nodes);
	ga_close_and_forget(&maps->exempt);
}

static int open_map(const struct bpf_library *bpf, const char *folder, const char *name,
		    int *ret_fd, gpualloc_error *error)
{
	char path[128];

	(void)snprintf(path, sizeof path, "%s/maps/%s", folder, name);
	*ret_fd = bpf->bpf_obj_get(path);
	return *ret_fd < 0 ? ga_error_errno(error, GPUALLOC_EIMPOSSIBLE, errno, "%s", path) : 0;
}

int fence_maps_open(const struct bpf_library *bpf, const char *folder, struct fence_maps *ret_maps,
		    gpualloc_error *error)
{
	int result;

	*ret_maps = (struct fence_maps)FENCE_MAPS_CLOSED;
	result = open_map(bpf, folder, "settings", &ret_maps->settings, error);
	if (result == 0)
		result = open_map(bpf, folder, "nodes", &ret_maps->nodes, error);
	return result == 0 ? open_map(bpf, folder, "exempt", &ret_maps->exempt, error) : result;
}

int fence_settings_read(const struct bpf_library *bpf, const struct fence_maps *maps,
			struct fence_settings *ret_settings, gpualloc_error *error)
{
	uint32_t zero = 0;

	if (bpf->bpf_map_lookup_elem(maps->settings, &zero, ret_settings) < 0)
		return failed("settings", error);
	return 0;
}

/* ---- writing ---- */

static bool lists_node(const struct fence_rules *rules, uint32_t number)
{
	for (size_t i = 0; i < rules->node_count; i++)
		if (kernel_number(rules->nodes[i].number) == number)
			return true;
	return false;
}

static bool lists_exempt(const struct fence_rules *rules, const struct fence_key *key)
{
	for (size_t i = 0; i < rules->exempt_count; i++)
		if (rules->exempt[i].id == key->id && (unsigned)rules->exempt[i].who == key->who)
			return true;
	return false;
}

static int write_nodes(const struct bpf_library *bpf, int map, const struct fence_rules *rules,
		       gpualloc_error *error)
{
	uint32_t key, next;
	int more;

	for (size_t i = 0; i < rules->node_count; i++) {
		struct fence_extent extent = {rules->nodes[i].start, rules->nodes[i].length}, old;

		key = kernel_number(rules->nodes[i].number);
		/* The kernel uses an entry's memory for the next one at once, while somebody may
		 * still read it: what stays as it is must not be touched. */
		if (bpf->bpf_map_lookup_elem(map, &key, &old) == 0 && old.start == extent.start &&
		    old.length == extent.length)
			continue;
		if (bpf->bpf_map_update_elem(map, &key, &extent, BPF_ANY) < 0)
			return failed("nodes", error);
	}
	more = bpf->bpf_map_get_next_key(map, NULL, &next);
	while (more == 0) {
		key = next;
		more = bpf->bpf_map_get_next_key(map, &key, &next);
		if (!lists_node(rules, key))
			(void)bpf->bpf_map_delete_elem(map, &key);
	}
	return 0;
}

static int write_exempt(const struct bpf_library *bpf, int map, const struct fence_rules *rules,
			gpualloc_error *error)
{
	struct fence_key key, next;
	uint32_t one = 1;
	int more;

	for (size_t i = 0; i < rules->exempt_count; i++) {
		key = (struct fence_key){.id = rules->exempt[i].id, .who = rules->exempt[i].who};
		if (bpf->bpf_map_update_elem(map, &key, &one, BPF_ANY) < 0)
			return failed("exemptions", error);
	}
	more = bpf->bpf_map_get_next_key(map, NULL, &next);
	while (more == 0) {
		key = next;
		more = bpf->bpf_map_get_next_key(map, &key, &next);
		if (!lists_exempt(rules, &key))
			(void)bpf->bpf_map_delete_elem(map, &key);
	}
	return 0;
}

static unsigned count(const struct fence_rules *rules, enum fence_who who)
{
	unsigned found = 0;

	for (size_t i = 0; i < rules->exempt_count; i++)
		found += rules->exempt[i].who == who;
	return found;
}

int fence_rules_write(const struct bpf_library *bpf, const struct fence_maps *maps,
		      const struct fence_rules *rules, struct fence_settings *settings,
		      gpualloc_error *error)
{
	struct stat status;
	uint32_t zero = 0;
	int result;

	if (stat(rules->ledger, &status) < 0)
		return ga_error_errno(error, GPUALLOC_EPERM, errno, "%s", rules->ledger);
	if (status.st_uid != 0)
		return ga_error_set(error, GPUALLOC_EPERM,
				    "%s is not root's, and the fence would not know it",
				    rules->ledger);
	settings->inode = status.st_ino;
	settings->device = kernel_number(status.st_dev);
	settings->groups = count(rules, FENCE_GROUP);
	settings->cgroups = count(rules, FENCE_CGROUP);
	result = write_exempt(bpf, maps->exempt, rules, error);
	if (result == 0)
		result = write_nodes(bpf, maps->nodes, rules, error);
	if (result == 0 && bpf->bpf_map_update_elem(maps->settings, &zero, settings, BPF_ANY) < 0)
		return failed("settings", error);
	return result;
}

/* ---- reading ---- */

static int compare_nodes(const void *a, const void *b)
{
	const struct fence_node *one = a, *other = b;

	return (one->number > other->number) - (one->number < other->number);
}

static int read_nodes(const struct bpf_library *bpf, int map, struct fence_state *state,
		      gpualloc_error *error)
{
	struct fence_extent extent;
	uint32_t key;
	int more = bpf->bpf_map_get_next_key(map, NULL, &key);

	state->nodes = calloc(FENCE_NODES, sizeof *state->nodes);
	if (!state->nodes)
		return ga_error_memory(error);
	for (; more == 0 && state->node_count < FENCE_NODES;
	     more = bpf->bpf_map_get_next_key(map, &key, &key))
		if (bpf->bpf_map_lookup_elem(map, &key, &extent) == 0)
			state->nodes[state->node_count++] =
				(struct fence_node){.number = number_of(key),
						    .start = extent.start,
						    .length = extent.length};
	qsort(state->nodes, state->node_count, sizeof *state->nodes, compare_nodes);
	return 0;
}

static int read_exempt(const struct bpf_library *bpf, int map, struct fence_state *state,
		       gpualloc_error *error)
{
	struct fence_key key;
	int more = bpf->bpf_map_get_next_key(map, NULL, &key);

	state->exempt = calloc(FENCE_EXEMPT, sizeof *state->exempt);
	if (!state->exempt)
		return ga_error_memory(error);
	for (; more == 0 && state->exempt_count < FENCE_EXEMPT;
	     more = bpf->bpf_map_get_next_key(map, &key, &key))
		if (key.who <= FENCE_CGROUP)
			state->exempt[state->exempt_count++] =
				(struct fence_exempt){(enum fence_who)key.who, key.id};
	return 0;
}

int fence_rules_read(const struct bpf_library *bpf, const struct fence_maps *maps,
		     struct fence_state *state, gpualloc_error *error)
{
	struct fence_settings settings;
	int result = fence_settings_read(bpf, maps, &settings, error);

	if (result < 0)
		return result;
	state->kind = settings.kind == FENCE_LSM ? FENCE_LSM : FENCE_FUNCTIONS;
	state->since = (int64_t)settings.since;
	state->ledger[0] = number_of(settings.device);
	state->ledger[1] = settings.inode;
	state->stands = settings.armed != 0;
	result = read_nodes(bpf, maps->nodes, state, error);
	return result == 0 ? read_exempt(bpf, maps->exempt, state, error) : result;
}
