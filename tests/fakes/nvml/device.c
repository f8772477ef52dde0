/* SPDX-License-Identifier: Apache-2.0 */
/* What the fake says of the system and of one GPU. */
#include "fake_nvml.h"

#include "prototypes.h"
#include "text.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

const char *nvmlErrorString(int result)
{
	static const char *const texts[] = {
		"Success",
		"Uninitialized",
		"Invalid Argument",
		"Not Supported",
		"Insufficient Permissions",
		"Already Initialized",
		"Not Found",
		"Insufficient Size",
		"Insufficient External Power",
		"Driver Not Loaded",
		"Timeout",
		"Interrupt Request Issue",
		"NVML Shared Library Not Found",
		"Function Not Found",
		"Corrupted infoROM",
		"GPU is lost",
		"GPU requires reset",
		"GPU access blocked by the operating system",
		"Driver/library version mismatch",
		"In use by another client",
		"Insufficient Memory",
	};

	return result >= 0 && (size_t)result < sizeof texts / sizeof *texts ? texts[result]
									    : "Unknown Error";
}

/* The newest one takes the driver's version from the machine, the others have their own. */
int nvmlSystemGetDriverVersion(char *text, unsigned size)
{
	int result = fake_called(__func__);
	char own[32];

	if (result)
		return result;
	fake_play_at("version");
	(void)snprintf(own, sizeof own, "%d.82.01", fake_driver);
	return fake_give_text(fake_driver == 580 && fake.machine->driver ? fake.machine->driver
									 : own,
			      text, size);
}

static const struct gpualloc_process *find_process(const struct gpualloc_device *device,
						   unsigned pid)
{
	for (size_t i = 0; i < device->process_count; i++)
		if (device->processes[i].pid == pid && device->processes[i].name)
			return &device->processes[i];
	for (size_t m = 0; m < device->mig_count; m++) {
		const struct gpualloc_process *found = find_process(&device->mig[m], pid);

		if (found)
			return found;
	}
	return NULL;
}

/* A path, and for some programs their arguments: X servers and browsers rename themselves. */
int nvmlSystemGetProcessName(unsigned pid, char *text, unsigned size)
{
	const struct gpualloc_process *process = NULL;
	char name[GA_TEXT_MAX + 64];
	int result = fake_called(__func__);

	if (result)
		return result;
	for (size_t i = 0; !process && i < fake.machine->device_count; i++)
		process = find_process(&fake.machine->devices[i], pid);
	if (!process)
		return GA_NVML_NOT_FOUND;
	(void)snprintf(name, sizeof name, "/usr/bin/%s%s", process->name,
		       process->type == GA_PROCESS_GRAPHICS ? " -core --socket=/tmp/x" : "");
	return fake_give_text(name, text, size);
}

/* ---- who and where ---- */

int nvmlDeviceGetCount_v2(unsigned *count)
{
	int result = fake_called(__func__);

	return result ? result : fake_give_number((int64_t)fake.machine->device_count, count);
}

int nvmlDeviceGetCount(unsigned *count)
{
	return nvmlDeviceGetCount_v2(count);
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, ga_nvml_handle *handle)
{
	const struct gpualloc_device *device;
	int result = fake_called(__func__);

	if (result)
		return result;
	if (index >= fake.machine->device_count || !handle)
		return GA_NVML_INVALID_ARGUMENT;
	if (fake.gpus[index].no_handle)
		return fake.gpus[index].no_handle;
	result = fake_open_gpu(index);
	if (result)
		return result;
	fake_start_slowly(&fake.gpus[index]);
	if (fake.gpus[index].needs_reset) {
		*handle = fake_handle(&fake.machine->devices[index]);
		return GA_NVML_SUCCESS;
	}
	result = fake_asked(NULL, fake_handle(&fake.machine->devices[index]), FAKE_GPU, &device);
	if (result == 0)
		*handle = fake_handle(device);
	return result;
}

int nvmlDeviceGetHandleByIndex(unsigned index, ga_nvml_handle *handle)
{
	return nvmlDeviceGetHandleByIndex_v2(index, handle);
}

int nvmlDeviceGetHandleByUUID(const char *uuid, ga_nvml_handle *handle)
{
	int result = fake_called(__func__);

	if (result)
		return result;
	for (unsigned i = 0; uuid && i < fake.machine->device_count; i++)
		if (ga_text_same(fake.machine->devices[i].uuid, uuid))
			return nvmlDeviceGetHandleByIndex_v2(i, handle);
	return GA_NVML_NOT_FOUND;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *bus_id, ga_nvml_handle *handle)
{
	char normal[20];
	int result = fake_called(__func__);

	if (result)
		return result;
	if (!bus_id || !ga_pci_normalise(bus_id, strlen(bus_id), normal))
		return GA_NVML_INVALID_ARGUMENT;
	for (unsigned i = 0; i < fake.machine->device_count; i++)
		if (ga_text_same(fake.machine->devices[i].pci, normal))
			return nvmlDeviceGetHandleByIndex_v2(i, handle);
	return GA_NVML_NOT_FOUND;
}

int nvmlDeviceGetIndex(ga_nvml_handle handle, unsigned *index)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU_OR_MIG, &device);

	if (result)
		return result;
	return fake_give_number(device->parent ? device - device->parent->mig
					       : device - fake.machine->devices,
				index);
}

int nvmlDeviceGetVirtualizationMode(ga_nvml_handle handle, unsigned *mode)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU, &device);

	return result ? result
		      : fake_give_number(fake.virtual_gpus ? GA_NVML_VIRTUAL_GPU : 0, mode);
}

int nvmlSystemGetNVMLVersion(char *text, unsigned size)
{
	char version[32];

	(void)snprintf(version, sizeof version, "12.%d.82.01", fake_driver);
	return fake_give_text(version, text, size);
}

int nvmlSystemGetCudaDriverVersion_v2(int *version)
{
	if (!version)
		return GA_NVML_INVALID_ARGUMENT;
	*version = 12000;
	return GA_NVML_SUCCESS;
}

int nvmlDeviceGetUUID(ga_nvml_handle handle, char *text, unsigned size)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU_OR_MIG, &device);
	char old[GA_TEXT_MAX + 64];

	if (result)
		return result;
	if (!device->parent && fake_gpu_of(device)->is_twin)
		return fake_give_text(fake.machine->devices[0].uuid, text, size);
	if (!device->parent || fake_driver >= 470)
		return fake_give_text(device->uuid, text, size);
	(void)snprintf(old, sizeof old, "MIG-%s/%lld/%lld", device->parent->uuid,
		       (long long)device->gi, (long long)device->ci);
	return fake_give_text(old, text, size);
}

int nvmlDeviceGetName(ga_nvml_handle handle, char *text, unsigned size)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU_OR_MIG, &device);
	char name[2 * GA_TEXT_MAX + 64];

	if (result)
		return result;
	if (!device->parent)
		return fake_give_text(device->name, text, size);
	if (fake.mig_plain_names || !device->profile)
		return fake_give_text("NVIDIA MIG device", text, size);
	(void)snprintf(name, sizeof name, "%s MIG %s",
		       device->parent->name ? device->parent->name : "NVIDIA", device->profile);
	return fake_give_text(name, text, size);
}

int nvmlDeviceGetSerial(ga_nvml_handle handle, char *text, unsigned size)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU, &device);

	return result ? result : fake_give_text(device->serial, text, size);
}

int nvmlDeviceGetMinorNumber(ga_nvml_handle handle, unsigned *number)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU, &device);

	return result ? result : fake_give_number(device->minor, number);
}

/* The numbers beside the text, which some clients read instead of it. */
static void set_address(struct ga_nvml_pci *pci, const char *address)
{
	(void)sscanf(address, "%x:%x:%x", &pci->domain, &pci->bus, &pci->device);
	pci->device_id = 0x20b010de;
}

/* What the second version knows is the first 52 bytes, and no long address. */
int nvmlDeviceGetPciInfo_v2(ga_nvml_handle handle, struct ga_nvml_pci *pci)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU, &device);

	if (result)
		return result;
	if (!pci)
		return GA_NVML_INVALID_ARGUMENT;
	if (!device->pci)
		return GA_NVML_NOT_SUPPORTED;
	memset(pci, 0, 52);
	set_address(pci, device->pci);
	(void)snprintf(pci->bus_id_legacy, sizeof pci->bus_id_legacy, "%.15s", device->pci + 4);
	return GA_NVML_SUCCESS;
}

int nvmlDeviceGetPciInfo_v3(ga_nvml_handle handle, struct ga_nvml_pci *pci)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU, &device);

	if (result)
		return result;
	if (!pci)
		return GA_NVML_INVALID_ARGUMENT;
	if (!device->pci)
		return GA_NVML_NOT_SUPPORTED;
	memset(pci, 0, sizeof *pci);
	set_address(pci, device->pci);
	(void)snprintf(pci->bus_id_legacy, sizeof pci->bus_id_legacy, "%.15s", device->pci + 4);
	(void)snprintf(pci->bus_id, sizeof pci->bus_id, "%.31s", device->pci);
	return GA_NVML_SUCCESS;
}

static void set_bits(unsigned long *mask, unsigned words, int64_t first, int64_t last)
{
	const int64_t bits = sizeof *mask * CHAR_BIT;

	for (; first <= last && first < words * bits; first++)
		mask[first / bits] |= 1ul << first % bits;
}

int nvmlDeviceGetCpuAffinity(ga_nvml_handle handle, unsigned words, unsigned long *mask)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU, &device);
	const char *list;

	if (result)
		return result;
	if (!mask || words == 0)
		return GA_NVML_INVALID_ARGUMENT;
	if (!device->cpus)
		return GA_NVML_NOT_SUPPORTED;
	memset(mask, 0, words * sizeof *mask);
	for (list = device->cpus; *list;) {
		size_t length = strcspn(list, ","), head = strcspn(list, "-,");
		int64_t first = 0, last = 0;

		if (!ga_text_number(list, head, UINT16_MAX, &first))
			return GA_NVML_UNKNOWN;
		last = first;
		if (head < length &&
		    !ga_text_number(list + head + 1, length - head - 1, UINT16_MAX, &last))
			return GA_NVML_UNKNOWN;
		set_bits(mask, words, first, last);
		list += length + (list[length] == ',');
	}
	return GA_NVML_SUCCESS;
}

int nvmlDeviceGetMemoryAffinity(ga_nvml_handle handle, unsigned words, unsigned long *mask,
				unsigned scope)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU, &device);

	if (result)
		return result;
	if (!mask || words == 0 || scope > 1)
		return GA_NVML_INVALID_ARGUMENT;
	if (device->numa < 0)
		return GA_NVML_NOT_SUPPORTED;
	memset(mask, 0, words * sizeof *mask);
	set_bits(mask, words, device->numa, device->numa);
	return GA_NVML_SUCCESS;
}

int fake_compute_major(const struct gpualloc_device *device)
{
	static const struct {
		const char *name;
		int major;
	} models[] = {{"P100", 6}, {"A100", 8}, {"A800", 8},  {"H100", 9},
		      {"H200", 9}, {"H800", 9}, {"B200", 10}, {"B300", 10}};

	for (size_t i = 0; device->name && i < sizeof models / sizeof *models; i++)
		if (strstr(device->name, models[i].name))
			return models[i].major;
	/* Of a model that is not known here the mode tells: MIG came with 8.0. */
	return device->mig_enabled ? 8 : 7;
}

int nvmlDeviceGetCudaComputeCapability(ga_nvml_handle handle, int *major, int *minor)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU, &device);

	if (result)
		return result;
	if (!major || !minor)
		return GA_NVML_INVALID_ARGUMENT;
	*major = fake_compute_major(device);
	*minor = 0;
	return GA_NVML_SUCCESS;
}

/* ---- memory ---- */

static uint64_t bytes(int64_t number)
{
	return number < 0 ? UINT64_MAX : (uint64_t)number;
}

static int memory_of(const char *function, ga_nvml_handle handle, struct ga_memory *ret_memory)
{
	const struct gpualloc_device *device;
	int result = fake_asked(function, handle, FAKE_GPU_OR_MIG, &device);

	if (result)
		return result;
	if (device->mig_enabled && fake.mig_denied)
		return GA_NVML_NO_PERMISSION;
	if (fake.no_memory)
		return GA_NVML_NOT_SUPPORTED;
	*ret_memory = device->memory;
	return device->memory.total < 0 && device->memory.used < 0 ? GA_NVML_NOT_SUPPORTED
								   : GA_NVML_SUCCESS;
}

/* From 510 on used has the reserve in it; before, the reserve was no memory at all. */
int nvmlDeviceGetMemoryInfo(ga_nvml_handle handle, struct ga_nvml_memory_v1 *memory)
{
	struct ga_memory is = {0};
	int result = memory_of(__func__, handle, &is);
	int64_t reserved = is.reserved > 0 ? is.reserved : 0;

	if (result)
		return result;
	if (!memory)
		return GA_NVML_INVALID_ARGUMENT;
	if (is.total >= 0 && fake_driver < 510)
		is.total -= reserved;
	if (is.used >= 0 && fake_driver >= 510)
		is.used += reserved;
	*memory = (struct ga_nvml_memory_v1){
		.total = bytes(is.total),
		.used = bytes(is.used),
		.free = bytes(is.total) - bytes(is.used),
	};
	return GA_NVML_SUCCESS;
}

int nvmlDeviceGetMemoryInfo_v2(ga_nvml_handle handle, struct ga_nvml_memory_v2 *memory)
{
	struct ga_memory is = {0};
	int result = memory_of(__func__, handle, &is);

	if (result)
		return result;
	if (!memory)
		return GA_NVML_INVALID_ARGUMENT;
	if (memory->version != 0x02000028)
		return GA_NVML_ARGUMENT_VERSION_MISMATCH;
	memory->total = bytes(is.total);
	memory->reserved = bytes(is.reserved);
	memory->used = bytes(is.used);
	memory->free =
		bytes(is.total) - bytes(is.used) - (is.reserved > 0 ? bytes(is.reserved) : 0);
	return GA_NVML_SUCCESS;
}

/* ---- use and health ---- */

int nvmlDeviceGetUtilizationRates(ga_nvml_handle handle, struct ga_nvml_utilization *utilization)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU_OR_MIG, &device);

	if (result)
		return result;
	if (device->mig_enabled && fake.mig_denied)
		return GA_NVML_NO_PERMISSION;
	if (device->mig_enabled || device->parent || device->utilization < 0)
		return GA_NVML_NOT_SUPPORTED;
	if (!utilization)
		return GA_NVML_INVALID_ARGUMENT;
	*utilization = (struct ga_nvml_utilization){(unsigned)device->utilization, 0};
	return GA_NVML_SUCCESS;
}

int nvmlDeviceGetComputeMode(ga_nvml_handle handle, unsigned *mode)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU, &device);

	return result ? result : fake_give_number(device->compute_mode, mode);
}

int nvmlDeviceGetDisplayActive(ga_nvml_handle handle, unsigned *active)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU, &device);

	return result ? result : fake_give_number(device->display, active);
}

int nvmlDeviceGetRetiredPagesPendingStatus(ga_nvml_handle handle, unsigned *pending)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU, &device);

	if (result)
		return result;
	/* Ampere and later remap rows instead. */
	if (fake_compute_major(device) >= 8 && device->health != GPUALLOC_HEALTH_RETIRED_PENDING)
		return GA_NVML_NOT_SUPPORTED;
	return fake_give_number(device->health == GPUALLOC_HEALTH_RETIRED_PENDING, pending);
}

int nvmlDeviceGetRemappedRows(ga_nvml_handle handle, unsigned *correctable, unsigned *uncorrectable,
			      unsigned *pending, unsigned *failed)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU, &device);

	if (result)
		return result;
	if (!correctable || !uncorrectable || !pending || !failed)
		return GA_NVML_INVALID_ARGUMENT;
	if (device->mig_count > 0)
		return GA_NVML_NOT_SUPPORTED;
	*correctable = *uncorrectable = *pending = 0;
	*failed = device->health == GPUALLOC_HEALTH_ROW_REMAP_FAILED;
	return GA_NVML_SUCCESS;
}
