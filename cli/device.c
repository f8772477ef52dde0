/* SPDX-License-Identifier: Apache-2.0 */
/* A device in words; see device.h. */
#include "device.h"

#include <stdio.h>
#include <stdlib.h>

const char *device_id(const gpualloc_device *device, char id[static ID_SIZE])
{
	const gpualloc_device *gpu = gpualloc_device_parent(device);
	char parts[2][24] = {"-", "-"};
	int64_t gi = gpualloc_device_gi(device), ci = gpualloc_device_ci(device);

	if (!gpu) {
		(void)snprintf(id, ID_SIZE, "%lld", (long long)gpualloc_device_index(device));
		return id;
	}
	if (gi >= 0)
		(void)snprintf(parts[0], sizeof parts[0], "%lld", (long long)gi);
	if (ci >= 0)
		(void)snprintf(parts[1], sizeof parts[1], "%lld", (long long)ci);
	(void)snprintf(id, ID_SIZE, "%lld:%s:%s", (long long)gpualloc_device_index(gpu), parts[0],
		       parts[1]);
	return id;
}

char *device_reason(const gpualloc_device *device)
{
	size_t size = gpualloc_device_reason(device, NULL, 0) + 1;
	char *reason = malloc(size);

	if (reason)
		(void)gpualloc_device_reason(device, reason, size);
	return reason;
}
