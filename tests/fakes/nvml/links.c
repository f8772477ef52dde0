/* SPDX-License-Identifier: Apache-2.0 */
/* The fake's links: laid from the counts of a machine file, told as NVML tells them. */
#include "fake_nvml.h"

#include "prototypes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- laying them; the rule stands in fake_nvml.h ---- */

static int count_between(size_t i, size_t j)
{
	return ga_links_nvlinks(&fake.machine->links, i, j);
}

static bool has_switches(void)
{
	for (size_t i = 0; i < fake.machine->device_count; i++) {
		int sum = 0;

		for (size_t j = 0; j < fake.machine->device_count; j++)
			sum += count_between(i, j) > 0 ? count_between(i, j) : 0;
		if (sum > FAKE_DIRECT_LINKS_MAX)
			return true;
	}
	return false;
}

static void lay(struct fake_gpu *gpu, int other, int count)
{
	while (count-- > 0 && gpu->link_count < FAKE_LINKS_MAX)
		gpu->links[gpu->link_count++].gpu = other;
}

/* Numbers the clique of a GPU, and of all that NVLinks join to it. */
static void join_clique(size_t i, unsigned clique)
{
	fake.gpus[i].clique = clique;
	for (size_t j = 0; j < fake.machine->device_count; j++)
		if (count_between(i, j) > 0 && fake.gpus[j].clique == 0)
			join_clique(j, clique);
}

void fake_lay_links(void)
{
	bool switches = has_switches();

	for (size_t i = 0; i < fake.machine->device_count; i++) {
		struct fake_gpu *gpu = &fake.gpus[i];
		int most = 0;

		for (size_t j = 0; j < fake.machine->device_count; j++) {
			int count = count_between(i, j);

			/* Of a lost GPU nobody knows anything; others that are unknown do not tell.
			 */
			gpu->links_unknown =
				gpu->links_unknown || (count < 0 && !fake.gpus[j].lost);
			most = count > most ? count : most;
			if (!switches)
				lay(gpu, (int)j, count);
		}
		if (switches)
			lay(gpu, -1, most);
		if (switches && most > 0 && gpu->clique == 0)
			join_clique(i, ++fake.cliques);
	}
}

/* ---- PCIe ---- */

int nvmlDeviceGetTopologyCommonAncestor(ga_nvml_handle one, ga_nvml_handle other, int *ancestor)
{
	static const int ancestors[] = {
		[GPUALLOC_LEVEL_UNKNOWN] = -1, [GPUALLOC_LEVEL_SYS] = 50,
		[GPUALLOC_LEVEL_NODE] = 40,    [GPUALLOC_LEVEL_PHB] = 30,
		[GPUALLOC_LEVEL_PXB] = 20,     [GPUALLOC_LEVEL_PIX] = 10,
		[GPUALLOC_LEVEL_BOARD] = 0,    [GPUALLOC_LEVEL_SELF] = -1,
	};
	const struct gpualloc_device *a, *b;
	int result = fake_asked(__func__, one, FAKE_GPU, &a);
	int level;

	if (result == 0)
		result = fake_asked(NULL, other, FAKE_GPU, &b);
	if (result)
		return result;
	if (!ancestor)
		return GA_NVML_INVALID_ARGUMENT;
	level = ancestors[ga_links_level(&fake.machine->links, (size_t)(a - fake.machine->devices),
					 (size_t)(b - fake.machine->devices))];
	if (level < 0)
		return GA_NVML_NOT_SUPPORTED;
	*ancestor = level;
	return GA_NVML_SUCCESS;
}

/* ---- peer-to-peer: as the machine file has it, and of what it does not tell U ---- */

int nvmlDeviceGetP2PStatus(ga_nvml_handle one, ga_nvml_handle other, int index, int *status)
{
	static const int words[] = {[GPUALLOC_P2P_UNKNOWN] = GA_NVML_P2P_UNKNOWN,
				    [GPUALLOC_P2P_OK] = GA_NVML_P2P_OK,
				    [GPUALLOC_P2P_NO] = GA_NVML_P2P_NO_CHIPSET};
	const struct gpualloc_device *a, *b;
	int result = fake_asked(__func__, one, FAKE_GPU, &a);

	if (result == 0)
		result = fake_asked(NULL, other, FAKE_GPU, &b);
	if (result)
		return result;
	if (!status || index < 0 || index > 4 || a == b)
		return GA_NVML_INVALID_ARGUMENT;
	*status = words[ga_links_p2p_read(&fake.machine->links, (size_t)(a - fake.machine->devices),
					  (size_t)(b - fake.machine->devices))];
	/* A driver may let one read and not write. */
	if (index == GA_NVML_P2P_WRITE && getenv("FAKE_P2P_READ_ONLY"))
		*status = GA_NVML_P2P_NOT_SUPPORTED;
	return GA_NVML_SUCCESS;
}

/* ---- NVLink ---- */

/* What the library was built for, and what the chip has. */
static unsigned library_links(void)
{
	return fake_driver < 450 ? 6 : fake_driver < 520 ? 12 : 18;
}

static unsigned chip_links(const struct gpualloc_device *device)
{
	static const unsigned by_major[] = {[6] = 4, [7] = 6, [8] = 12, [9] = 18, [10] = 18};
	unsigned chip = by_major[fake_compute_major(device)];
	unsigned used = fake_gpu_of(device)->link_count;

	return used > chip ? used : chip;
}

/* A GPU without NVLink has no link that could be asked, up to what the library counts to. */
static int find_link(const struct gpualloc_device *device, unsigned link)
{
	const struct fake_gpu *gpu = fake_gpu_of(device);

	if (gpu->links_unknown)
		return GA_NVML_UNKNOWN;
	if (gpu->link_count == 0)
		return link < library_links() ? GA_NVML_NOT_SUPPORTED : GA_NVML_INVALID_ARGUMENT;
	return link < chip_links(device) ? GA_NVML_SUCCESS : GA_NVML_INVALID_ARGUMENT;
}

static bool is_up(const struct gpualloc_device *device, unsigned link)
{
	const struct fake_gpu *gpu = fake_gpu_of(device);

	return link < gpu->link_count && !(gpu->first_link_down && link == 0);
}

static unsigned state_of(const struct gpualloc_device *device, unsigned link)
{
	if (!is_up(device, link))
		return GA_NVML_LINK_DOWN;
	return fake.links_sleep ? GA_NVML_LINK_SLEEPS : GA_NVML_LINK_UP;
}

/* As find_link, for calls that want a link that is up. */
static int find_active(const char *function, ga_nvml_handle handle, unsigned link,
		       const struct gpualloc_device **ret_device)
{
	int result = fake_asked(function, handle, FAKE_GPU, ret_device);

	if (result == 0)
		result = find_link(*ret_device, link);
	if (result == 0 && !is_up(*ret_device, link))
		result = GA_NVML_NOT_SUPPORTED;
	return result;
}

int nvmlDeviceGetNvLinkState(ga_nvml_handle handle, unsigned link, unsigned *active)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU, &device);

	if (result == 0)
		result = find_link(device, link);
	return result ? result : fake_give_number(state_of(device, link), active);
}

int nvmlDeviceGetNvLinkVersion(ga_nvml_handle handle, unsigned link, unsigned *version)
{
	static const int64_t codes[] = {-1, 1, 2, 4, 6, 7, 8};
	const struct gpualloc_device *device;
	int result = find_active(__func__, handle, link, &device);

	if (result)
		return result;
	if (device->nvlink_version < 0 ||
	    (size_t)device->nvlink_version >= sizeof codes / sizeof *codes)
		return GA_NVML_NOT_SUPPORTED;
	return fake_give_number(codes[device->nvlink_version], version);
}

int nvmlDeviceGetNvLinkRemotePciInfo_v2(ga_nvml_handle handle, unsigned link,
					struct ga_nvml_pci *pci)
{
	const struct gpualloc_device *device;
	int result = find_active(__func__, handle, link, &device);
	int other;

	if (result)
		return result;
	if (!pci)
		return GA_NVML_INVALID_ARGUMENT;
	other = fake_gpu_of(device)->links[link].gpu;
	/* The subsystem is left as the caller had it, as the real one does. */
	if (other >= 0) {
		const char *address = fake.machine->devices[other].pci;

		(void)snprintf(pci->bus_id, sizeof pci->bus_id, "%.31s", address ? address : "");
		(void)sscanf(pci->bus_id, "%x:%x:%x", &pci->domain, &pci->bus, &pci->device);
	}
	if (other < 0 && fake.switch_form == SWITCH_ALL_F)
		(void)snprintf(pci->bus_id, sizeof pci->bus_id, "FFFFFFFF:FF:FF.F");
	else if (other < 0)
		(void)snprintf(pci->bus_id, sizeof pci->bus_id, "0000F000:%02X:00.0", 5 + link % 4);
	return GA_NVML_SUCCESS;
}

int nvmlDeviceGetNvLinkRemoteDeviceType(ga_nvml_handle handle, unsigned link, int *type)
{
	const struct gpualloc_device *device;
	int result = find_active(__func__, handle, link, &device);

	if (result)
		return result;
	if (!type)
		return GA_NVML_INVALID_ARGUMENT;
	*type = fake_gpu_of(device)->links[link].gpu >= 0 ? GA_NVML_REMOTE_GPU
		: fake.switch_form == SWITCH_TYPED        ? GA_NVML_REMOTE_SWITCH
							  : GA_NVML_REMOTE_UNKNOWN;
	return GA_NVML_SUCCESS;
}

int nvmlDeviceGetFieldValues(ga_nvml_handle handle, int count, struct ga_nvml_field *fields)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU, &device);

	if (result)
		return result;
	if (!fields || count < 1)
		return GA_NVML_INVALID_ARGUMENT;
	for (int i = 0; i < count; i++) {
		struct ga_nvml_field *field = &fields[i];

		if (field->id != 165 || fake_driver < 535) {
			field->result = GA_NVML_INVALID_ARGUMENT;
			continue;
		}
		field->result = find_link(device, field->scope);
		field->value_type = 1;
		field->value.number = state_of(device, field->scope);
	}
	return GA_NVML_SUCCESS;
}

/* ---- the fabric ---- */

/*
 * One clique alone is what an ordinary eight-GPU board says: completed, in a cluster without a
 * name, and its other words mean nothing.
 */
static int fabric_of(const char *function, ga_nvml_handle handle, struct ga_nvml_fabric_v1 *fabric)
{
	const struct gpualloc_device *device;
	int result = fake_asked(function, handle, FAKE_GPU, &device);

	if (result)
		return result;
	if (fake_compute_major(device) < 9 || fake.cliques == 0 ||
	    (fake.fabric && strcmp(fake.fabric, "refused") == 0))
		return GA_NVML_NOT_SUPPORTED;
	*fabric = (struct ga_nvml_fabric_v1){.state = GA_NVML_FABRIC_COMPLETED};
	if (fake.fabric && strcmp(fake.fabric, "error") == 0)
		fabric->status = GA_NVML_UNKNOWN;
	else if (fake.fabric)
		fabric->state = (unsigned char)(fake.fabric[0] - '0');
	if (fake.cliques > 1) {
		memset(fabric->cluster, 0xc5, sizeof fabric->cluster);
		fabric->clique = fake_gpu_of(device)->clique;
	} else {
		fabric->clique = (unsigned)(device - fake.machine->devices);
	}
	return GA_NVML_SUCCESS;
}

int nvmlDeviceGetGpuFabricInfo(ga_nvml_handle handle, struct ga_nvml_fabric_v1 *fabric)
{
	struct ga_nvml_fabric_v1 is;
	int result = fabric_of(__func__, handle, &is);

	if (result)
		return result;
	if (!fabric)
		return GA_NVML_INVALID_ARGUMENT;
	*fabric = is;
	return GA_NVML_SUCCESS;
}

/* What comes behind the version is the same in both, but for the last byte of the third. */
int nvmlDeviceGetGpuFabricInfoV(ga_nvml_handle handle, void *fabric)
{
	struct ga_nvml_fabric_v2 *out = fabric;
	struct ga_nvml_fabric_v1 is;
	int result = fabric_of(__func__, handle, &is);

	if (result)
		return result;
	if (!fabric)
		return GA_NVML_INVALID_ARGUMENT;
	if (out->version != 0x02000024 && (out->version != 0x03000028 || fake_driver < 580))
		return GA_NVML_ARGUMENT_VERSION_MISMATCH;
	memcpy(out->cluster, is.cluster, sizeof out->cluster);
	out->status = is.status;
	out->clique = is.clique;
	out->state = is.state;
	out->health = 0;
	return GA_NVML_SUCCESS;
}

/* Two kinds of cliques; the one of plain addresses is not the first. */
int nvmlDeviceGetGpuFabricInfo_v4(ga_nvml_handle handle, struct ga_nvml_fabric_v4 *fabric)
{
	struct ga_nvml_fabric_v1 is;
	int result = fabric_of(__func__, handle, &is);

	if (result)
		return result;
	if (!fabric)
		return GA_NVML_INVALID_ARGUMENT;
	*fabric = (struct ga_nvml_fabric_v4){
		.status = is.status,
		.state = is.state,
		.clique_count = 2,
		.cliques = {{2, 77}, {GA_NVML_CLIQUE_POINTER, is.clique}},
	};
	memcpy(fabric->cluster, is.cluster, sizeof fabric->cluster);
	return GA_NVML_SUCCESS;
}
