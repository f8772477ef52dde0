/* SPDX-License-Identifier: Apache-2.0 */
/* The fake's process lists, in records of 16, 24 or 32 bytes as its driver wrote them. */
#include "fake_nvml.h"

#include "prototypes.h"

#include <string.h>

enum list { COMPUTE, GRAPHICS, MPS };

static bool is_on_list(enum ga_process_type type, enum list list)
{
	switch (type) {
	case GA_PROCESS_COMPUTE: return list == COMPUTE;
	case GA_PROCESS_GRAPHICS: return list == GRAPHICS;
	case GA_PROCESS_COMPUTE_GRAPHICS: return list == COMPUTE || list == GRAPHICS;
	case GA_PROCESS_MPS_COMPUTE: return list == MPS;
	}
	return false;
}

struct output {
	char *records;
	size_t stride;
	unsigned room;
	unsigned count; /* that there are, fit or not */
};

/* Of a process that draws and computes, the list of those that compute tells no memory. */
static uint64_t memory_of(const struct gpualloc_process *process, enum list list)
{
	bool told = process->type != GA_PROCESS_COMPUTE_GRAPHICS || list == GRAPHICS;

	return told && process->memory >= 0 ? (uint64_t)process->memory : GA_NVML_NO_VALUE;
}

static void give(struct output *out, const struct gpualloc_process *process, enum list list,
		 const struct gpualloc_device *instance)
{
	struct ga_nvml_process_535 record = {
		.pid = (unsigned)process->pid,
		.memory = memory_of(process, list),
		.gi = instance ? (unsigned)instance->gi : GA_NVML_NO_INSTANCE,
		.ci = instance ? (unsigned)instance->ci : GA_NVML_NO_INSTANCE,
		.protected_memory = UINT64_C(0x5a5a5a5a5a5a5a5a),
	};

	if (out->count < out->room)
		memcpy(out->records + out->count * out->stride, &record, out->stride);
	out->count++;
}

static void give_all(struct output *out, const struct gpualloc_device *device, enum list list)
{
	for (size_t i = 0; i < device->process_count; i++)
		if (is_on_list(device->processes[i].type, list))
			give(out, &device->processes[i], list, device->parent ? device : NULL);
	for (size_t m = 0; m < device->mig_count; m++)
		give_all(out, &device->mig[m], list);
}

static int list_processes(const char *function, ga_nvml_handle handle, enum list list,
			  size_t stride, unsigned *count, void *records)
{
	const struct gpualloc_device *device;
	struct output out = {.records = records, .stride = stride, .room = count ? *count : 0};
	int result = fake_asked(function, handle, FAKE_GPU_OR_MIG, &device);

	if (result)
		return result;
	if (!count || (!records && *count > 0))
		return GA_NVML_INVALID_ARGUMENT;
	if (device->mig_enabled && fake.mig_denied)
		return GA_NVML_NO_PERMISSION;
	if (fake.processes && (strcmp(fake.processes, "denied") == 0 ||
			       (list == MPS && strcmp(fake.processes, "no-mps") == 0)))
		return GA_NVML_NO_PERMISSION;
	if (fake.processes && strcmp(fake.processes, "too-many") == 0) {
		*count = UINT32_MAX;
		return GA_NVML_SUCCESS;
	}
	if (!device->processes_known ||
	    (fake.processes && strcmp(fake.processes, "unsupported") == 0))
		return GA_NVML_NOT_SUPPORTED;
	give_all(&out, device, list);
	*count = out.count;
	return out.count > out.room ? GA_NVML_INSUFFICIENT_SIZE : GA_NVML_SUCCESS;
}

static size_t third_stride(void)
{
	return fake_driver == 535 ? sizeof(struct ga_nvml_process_535)
				  : sizeof(struct ga_nvml_process_v2);
}

int nvmlDeviceGetComputeRunningProcesses(ga_nvml_handle handle, unsigned *count, void *records)
{
	return list_processes(__func__, handle, COMPUTE, sizeof(struct ga_nvml_process_v1), count,
			      records);
}

int nvmlDeviceGetComputeRunningProcesses_v2(ga_nvml_handle handle, unsigned *count, void *records)
{
	return list_processes(__func__, handle, COMPUTE, sizeof(struct ga_nvml_process_v2), count,
			      records);
}

int nvmlDeviceGetComputeRunningProcesses_v3(ga_nvml_handle handle, unsigned *count, void *records)
{
	return list_processes(__func__, handle, COMPUTE, third_stride(), count, records);
}

int nvmlDeviceGetGraphicsRunningProcesses(ga_nvml_handle handle, unsigned *count, void *records)
{
	return list_processes(__func__, handle, GRAPHICS, sizeof(struct ga_nvml_process_v1), count,
			      records);
}

int nvmlDeviceGetGraphicsRunningProcesses_v2(ga_nvml_handle handle, unsigned *count, void *records)
{
	return list_processes(__func__, handle, GRAPHICS, sizeof(struct ga_nvml_process_v2), count,
			      records);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(ga_nvml_handle handle, unsigned *count, void *records)
{
	return list_processes(__func__, handle, GRAPHICS, third_stride(), count, records);
}

int nvmlDeviceGetMPSComputeRunningProcesses(ga_nvml_handle handle, unsigned *count, void *records)
{
	return list_processes(__func__, handle, MPS, sizeof(struct ga_nvml_process_v1), count,
			      records);
}

int nvmlDeviceGetMPSComputeRunningProcesses_v2(ga_nvml_handle handle, unsigned *count,
					       void *records)
{
	return list_processes(__func__, handle, MPS, sizeof(struct ga_nvml_process_v2), count,
			      records);
}

int nvmlDeviceGetMPSComputeRunningProcesses_v3(ga_nvml_handle handle, unsigned *count,
					       void *records)
{
	return list_processes(__func__, handle, MPS, third_stride(), count, records);
}

/* Both are there only to be there: they tell the releases of 535 apart. */
int nvmlDeviceGetConfComputeMemSizeInfo(ga_nvml_handle handle, void *info)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU, &device);

	(void)info;
	return result ? result : GA_NVML_NOT_SUPPORTED;
}

int nvmlDeviceGetRunningProcessDetailList(ga_nvml_handle handle, void *list)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU, &device);

	(void)list;
	return result ? result : GA_NVML_NOT_SUPPORTED;
}
