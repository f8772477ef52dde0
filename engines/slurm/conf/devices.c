/* SPDX-License-Identifier: Apache-2.0 */
/* A machine as Slurm counts it; see devices.h. */
#include "devices.h"

#include "caps.h"
#include "cleanup.h"
#include "file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void slurm_machine_free(struct slurm_machine *node)
{
	free(node->devices);
	node->devices = NULL;
	node->count = 0;
}

bool slurm_device_is_instance(const struct slurm_device *device)
{
	return device->device != device->gpu;
}

/* ---- which devices there are, and in which order ---- */

static size_t count_devices(const gpualloc_machine *machine)
{
	size_t count = 0;

	for (size_t i = 0; i < gpualloc_machine_device_count(machine); i++) {
		const gpualloc_device *gpu = gpualloc_machine_device(machine, i);

		count += gpualloc_device_mig_enabled(gpu) == 1 ? gpualloc_device_mig_count(gpu) : 1;
	}
	return count;
}

static struct slurm_device device_of(const gpualloc_machine *machine, const gpualloc_device *gpu,
				     const gpualloc_device *device)
{
	return (struct slurm_device){
		.device = device,
		.gpu = gpu,
		.place = (size_t)gpualloc_device_number(machine, gpu),
		.caps = {-1, -1},
	};
}

bool slurm_devices_list(const gpualloc_machine *machine, struct slurm_device **ret_devices,
			size_t *ret_count)
{
	size_t gpu_count = gpualloc_machine_device_count(machine), count = 0;
	ga_auto_free const gpualloc_device **gpus = calloc(gpu_count + 1, sizeof *gpus);
	struct slurm_device *devices = calloc(count_devices(machine) + 1, sizeof *devices);

	if (!gpus || !devices) {
		free(devices);
		return false;
	}
	gpualloc_machine_pci_order(machine, gpus);
	for (size_t i = 0; i < gpu_count; i++) {
		if (gpualloc_device_mig_enabled(gpus[i]) != 1)
			devices[count++] = device_of(machine, gpus[i], gpus[i]);
		else
			for (size_t k = 0; k < gpualloc_device_mig_count(gpus[i]); k++)
				devices[count++] = device_of(machine, gpus[i],
							     gpualloc_device_mig(gpus[i], k));
	}
	*ret_devices = devices;
	*ret_count = count;
	return true;
}

/* ---- what they are called ---- */

/* Whether the short name would mean another model too. */
static bool is_ambiguous(const struct slurm_machine *node, const struct slurm_device *device,
			 const char *type)
{
	const char *name = gpualloc_device_name(device->gpu);
	char other[TYPE_SIZE];

	for (size_t i = 0; i < node->count; i++) {
		const char *model = gpualloc_device_name(node->devices[i].gpu);

		if (!model || slurm_device_is_instance(&node->devices[i]) ||
		    strcmp(model, name) == 0)
			continue;
		slurm_type(model, false, other);
		if (strcmp(other, type) == 0)
			return true;
	}
	return false;
}

static void name_device(const struct slurm_machine *node, struct slurm_device *device)
{
	const char *name = gpualloc_device_name(device->gpu);
	const char *profile = gpualloc_device_profile(device->device);

	if (slurm_device_is_instance(device)) {
		if (profile)
			slurm_profile_type(profile, device->type);
		return;
	}
	if (!name)
		return;
	slurm_type(name, false, device->type);
	if (!*device->type || is_ambiguous(node, device, device->type))
		slurm_type(name, true, device->type);
}

/* ---- their files ---- */

static bool find_caps(struct slurm_machine *node)
{
	ga_auto_buffer struct ga_buffer minors = {0};
	char path[512];

	node->caps_by_book = !node->root && gpualloc_machine_is_simulated(node->machine);
	if (node->root &&
	    (size_t)snprintf(path, sizeof path, "%s" MIG_MINORS, node->root) < sizeof path &&
	    ga_file_read(path, MIG_MINORS_MOST, &minors, NULL) == GPUALLOC_ENOMEM)
		return false;
	for (size_t i = 0; i < node->count; i++) {
		struct slurm_device *device = &node->devices[i];
		int64_t minor = gpualloc_device_minor(device->gpu);
		int64_t gi = gpualloc_device_gi(device->device);
		int64_t ci = gpualloc_device_ci(device->device);

		if (!slurm_device_is_instance(device) || minor < 0 || gi < 0 || ci < 0)
			continue;
		if (node->caps_by_book)
			mig_caps_documented(minor, gi, ci, device->caps);
		else if (minors.data)
			(void)mig_caps_find(minors.data, minor, gi, ci, device->caps);
	}
	return true;
}

void slurm_device_files(struct ga_buffer *text, const struct slurm_device *device)
{
	ga_buffer_format(text, "/dev/nvidia%lld", (long long)gpualloc_device_minor(device->gpu));
	if (slurm_device_is_instance(device))
		ga_buffer_format(text,
				 ",/dev/nvidia-caps/nvidia-cap%lld,/dev/nvidia-caps/nvidia-cap%lld",
				 (long long)device->caps[0], (long long)device->caps[1]);
}

/* ---- their links ---- */

static int nvlinks(const struct slurm_machine *node, size_t a, size_t b)
{
	const struct slurm_device *one = &node->devices[a], *other = &node->devices[b];
	int count;

	if (slurm_device_is_instance(one) || slurm_device_is_instance(other))
		return 0;
	count = gpualloc_machine_link_count(node->machine, one->place, other->place);
	return count > 0 ? count : 0;
}

/* SYS and unknown levels are 0; each closer level is one more. */
static int closeness(const struct slurm_machine *node, size_t a, size_t b)
{
	const struct slurm_device *one = &node->devices[a], *other = &node->devices[b];
	enum gpualloc_level level;

	if (slurm_device_is_instance(one) || slurm_device_is_instance(other))
		return 0;
	level = gpualloc_machine_level(node->machine, one->place, other->place);
	return level > GPUALLOC_LEVEL_SYS ? (int)level - (int)GPUALLOC_LEVEL_SYS : 0;
}

int slurm_machine_link(const struct slurm_machine *node, size_t a, size_t b)
{
	if (a == b)
		return -1;
	return node->links == SLURM_LINKS_NVLINK ? nvlinks(node, a, b) : closeness(node, a, b);
}

static bool is_link_unknown(const struct slurm_machine *node, size_t a, size_t b)
{
	const struct slurm_device *one = &node->devices[a], *other = &node->devices[b];

	if (slurm_device_is_instance(one) || slurm_device_is_instance(other))
		return false;
	return node->links == SLURM_LINKS_NVLINK
		       ? gpualloc_machine_link_count(node->machine, one->place, other->place) < 0
		       : gpualloc_machine_level(node->machine, one->place, other->place) ==
				 GPUALLOC_LEVEL_UNKNOWN;
}

static bool are_links_unknown(const struct slurm_machine *node)
{
	for (size_t i = 0; i < node->count; i++)
		for (size_t j = 0; j < i; j++)
			if (is_link_unknown(node, i, j))
				return true;
	return false;
}

/* NVLinks if there are any; otherwise PCIe, if it makes a difference. */
static enum slurm_links kind_of_links(const struct slurm_machine *node)
{
	bool differ = false;

	for (size_t i = 0; i < node->count; i++)
		for (size_t j = 0; j < i; j++) {
			if (nvlinks(node, i, j) > 0)
				return SLURM_LINKS_NVLINK;
			differ = differ || closeness(node, i, j) != closeness(node, 1, 0);
		}
	return differ ? SLURM_LINKS_PCIE : SLURM_LINKS_NONE;
}

/* ---- the whole machine ---- */

bool slurm_machine_read(const gpualloc_machine *machine, const char *root,
			struct slurm_machine *ret_node)
{
	struct slurm_machine node = {.machine = machine, .root = root};

	if (!slurm_devices_list(machine, &node.devices, &node.count))
		return false;
	slurm_cpus_read(machine, root, &node.cpus);
	node.cores_known = node.count > 0;
	for (size_t i = 0; i < node.count; i++) {
		struct slurm_device *device = &node.devices[i];

		name_device(&node, device);
		device->sockets = slurm_cpus_sockets(&node.cpus, gpualloc_device_cpus(device->gpu));
		node.cores_known = node.cores_known && device->sockets != 0;
	}
	node.links = kind_of_links(&node);
	node.links_unknown = are_links_unknown(&node);
	if (!find_caps(&node)) {
		slurm_machine_free(&node);
		return false;
	}
	*ret_node = node;
	return true;
}

static bool is_first_of_type(const struct slurm_machine *node, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(node->devices[i].type, node->devices[at].type) == 0)
			return false;
	return true;
}

void slurm_machine_gres(struct ga_buffer *text, const struct slurm_machine *node)
{
	for (size_t i = 0; i < node->count; i++) {
		const char *type = node->devices[i].type;
		size_t count = 0;

		if (!is_first_of_type(node, i))
			continue;
		for (size_t k = i; k < node->count; k++)
			count += strcmp(node->devices[k].type, type) == 0;
		ga_buffer_format(text, "%sgpu%s%s:%zu", i ? "," : "", *type ? ":" : "", type,
				 count);
	}
}
