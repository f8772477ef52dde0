/* SPDX-License-Identifier: Apache-2.0 */
/* The example of gpualloc_allocator(3). */
#include <gpualloc/gpualloc.h>
#include <stdio.h>

int main(void)
{
	const gpualloc_device *devices[2];
	gpualloc_allocator *allocator = NULL;
	int result = gpualloc_allocator_open(NULL, "best-effort", &allocator, NULL);

	while (result == 0) {
		result = gpualloc_allocator_take(allocator, 2, devices, NULL);
		if (result == 0)
			printf("%lld and %lld\n", (long long)gpualloc_device_index(devices[0]),
			       (long long)gpualloc_device_index(devices[1]));
	}
	gpualloc_allocator_free(allocator);
	return result == GPUALLOC_EBUSY ? 0 : gpualloc_exit_status(result);
}
