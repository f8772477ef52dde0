/* SPDX-License-Identifier: Apache-2.0 */
/* The fake's MIG instances. Their numbers have holes, as they get when instances are destroyed. */
#include "fake_nvml.h"

#include "prototypes.h"

#include <stdio.h>
#include <string.h>

/* The i-th instance is number i up to the third, and then one further on. */
enum { HOLE = 2, ROOM_BEHIND = 3 };

int nvmlDeviceGetMigMode(ga_nvml_handle handle, unsigned *current, unsigned *pending)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU, &device);

	if (result)
		return result;
	if (!current || !pending)
		return GA_NVML_INVALID_ARGUMENT;
	if (fake_compute_major(device) < 8)
		return GA_NVML_NOT_SUPPORTED;
	*current = *pending = device->mig_enabled;
	return GA_NVML_SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(ga_nvml_handle handle, unsigned *count)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU, &device);

	if (result)
		return result;
	return fake_give_number(device->mig_enabled ? (int64_t)device->mig_count + ROOM_BEHIND : 0,
				count);
}

int nvmlDeviceGetMigDeviceHandleByIndex(ga_nvml_handle handle, unsigned index,
					ga_nvml_handle *instance)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_GPU, &device);

	if (result)
		return result;
	if (!instance || !device->mig_enabled)
		return GA_NVML_INVALID_ARGUMENT;
	if (index == HOLE || index - (index > HOLE) >= device->mig_count)
		return GA_NVML_NOT_FOUND;
	*instance = fake_handle(&device->mig[index - (index > HOLE)]);
	return fake_open_instance(&device->mig[index - (index > HOLE)]);
}

int nvmlDeviceGetGpuInstanceId(ga_nvml_handle handle, unsigned *number)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_MIG, &device);

	return result ? result : fake_give_number(device->gi, number);
}

int nvmlDeviceGetComputeInstanceId(ga_nvml_handle handle, unsigned *number)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_MIG, &device);

	return result ? result : fake_give_number(device->ci, number);
}

/* Concluded from the profile: "1c.3g.20gb" has a little less than 20 GB. */
int nvmlDeviceGetAttributes_v2(ga_nvml_handle handle, struct ga_nvml_attributes *attributes)
{
	const struct gpualloc_device *device;
	int result = fake_asked(__func__, handle, FAKE_MIG, &device);
	unsigned compute = 0, gpu = 0, memory = 0;

	if (result)
		return result;
	if (!attributes)
		return GA_NVML_INVALID_ARGUMENT;
	if (!device->profile)
		return GA_NVML_NOT_SUPPORTED;
	if (sscanf(device->profile, "%uc.%ug.%ugb", &compute, &gpu, &memory) != 3) {
		if (sscanf(device->profile, "%ug.%ugb", &gpu, &memory) != 2)
			return GA_NVML_UNKNOWN;
		compute = gpu;
	}
	*attributes = (struct ga_nvml_attributes){
		.gpu_slices = gpu, .compute_slices = compute, .memory_mb = memory * 1024u - 256u};
	return GA_NVML_SUCCESS;
}
