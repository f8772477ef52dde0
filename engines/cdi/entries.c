/* SPDX-License-Identifier: Apache-2.0 */
/* A machine's devices by their names; see entries.h. */
#include "entries.h"

#include "cleanup.h"

#include <stdio.h>
#include <string.h>

void cdi_entries_free(struct cdi_entries *entries)
{
	for (size_t i = 0; i < entries->count; i++)
		free(entries->names[i]);
	free(entries->names);
	free(entries->list);
	free(entries->devices);
	free(entries->left_out);
	*entries = (struct cdi_entries){0};
}

struct cdi_device cdi_device_of(const gpualloc_device *device)
{
	const gpualloc_device *gpu = gpualloc_device_parent(device);

	return (struct cdi_device){
		.minor = gpualloc_device_minor(gpu ? gpu : device),
		.gi = gpu ? gpualloc_device_gi(device) : -1,
		.ci = gpu ? gpualloc_device_ci(device) : -1,
	};
}

/* GPUALLOC_EDATA if its files are not known. An instance without ids would look like a whole GPU.
 */
static int check_files(struct cdi_place *place, const gpualloc_device *device,
		       const struct cdi_device *as_files)
{
	ga_cleanup(cdi_nodes_free) struct cdi_nodes nodes = {0};

	if (gpualloc_device_parent(device) && as_files->gi < 0)
		return GPUALLOC_EDATA;
	return cdi_nodes_add_device(&nodes, place, as_files);
}

static bool has_name(const struct cdi_entries *entries, const char *name)
{
	for (size_t i = 0; i < entries->count; i++)
		if (strcmp(entries->list[i].name, name) == 0)
			return true;
	return false;
}

static bool add_entry(struct cdi_entries *entries, const char *name,
		      const struct cdi_device *devices, size_t count)
{
	char *copy;

	if (!name || !cdi_name_is_valid(name) || has_name(entries, name))
		return true;
	copy = strdup(name);
	if (!copy)
		return false;
	entries->names[entries->count] = copy;
	entries->list[entries->count++] = (struct cdi_entry){copy, devices, count};
	return true;
}

static bool add_device(struct cdi_entries *entries, struct cdi_place *place,
		       const gpualloc_device *device)
{
	const gpualloc_device *gpu = gpualloc_device_parent(device);
	long long index = (long long)gpualloc_device_index(device);
	struct cdi_device *as_files = &entries->devices[entries->device_count];
	char name[64];
	int result;

	*as_files = cdi_device_of(device);
	result = check_files(place, device, as_files);
	if (result < 0) {
		entries->left_out[entries->left_out_count++] = device;
		return result == GPUALLOC_EDATA;
	}
	entries->device_count++;
	if (gpu)
		(void)snprintf(name, sizeof name, "%lld:%lld",
			       (long long)gpualloc_device_index(gpu), index);
	else
		(void)snprintf(name, sizeof name, "%lld", index);
	return add_entry(entries, name, as_files, 1) &&
	       add_entry(entries, gpualloc_device_uuid(device), as_files, 1);
}

static size_t count_devices(const gpualloc_machine *machine)
{
	size_t count = gpualloc_machine_device_count(machine), all = count;

	for (size_t i = 0; i < count; i++)
		all += gpualloc_device_mig_count(gpualloc_machine_device(machine, i));
	return all;
}

static bool add_all(struct cdi_entries *entries, const gpualloc_machine *machine,
		    struct cdi_place *place)
{
	bool good = true;

	for (size_t i = 0; good && i < gpualloc_machine_device_count(machine); i++) {
		const gpualloc_device *gpu = gpualloc_machine_device(machine, i);

		if (gpualloc_device_mig_enabled(gpu) != 1)
			good = add_device(entries, place, gpu);
		else
			for (size_t k = 0; good && k < gpualloc_device_mig_count(gpu); k++)
				good = add_device(entries, place, gpualloc_device_mig(gpu, k));
	}
	if (good && entries->device_count > 0)
		good = add_entry(entries, "all", entries->devices, entries->device_count);
	return good;
}

bool cdi_entries_read(const gpualloc_machine *machine, struct cdi_place *place,
		      struct cdi_entries *ret_entries)
{
	size_t most = count_devices(machine);
	struct cdi_entries entries = {
		.list = calloc(2 * most + 1, sizeof *entries.list),
		.names = calloc(2 * most + 1, sizeof *entries.names),
		.devices = calloc(most + 1, sizeof *entries.devices),
		.left_out = calloc(most + 1, sizeof *entries.left_out),
	};

	if (!entries.list || !entries.names || !entries.devices || !entries.left_out ||
	    !add_all(&entries, machine, place)) {
		cdi_entries_free(&entries);
		return false;
	}
	*ret_entries = entries;
	return true;
}
