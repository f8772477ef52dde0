/* SPDX-License-Identifier: Apache-2.0 */
/* The example of gpualloc_device(3). */
#include <gpualloc/gpualloc.h>
#include <stdio.h>

int main(void)
{
	gpualloc_machine *machine = NULL;
	int result = gpualloc_machine_open(NULL, 0, &machine, NULL);

	if (result < 0)
		return gpualloc_exit_status(result);
	for (size_t i = 0; i < gpualloc_machine_device_count(machine); i++) {
		const gpualloc_device *device = gpualloc_machine_device(machine, i);
		char reason[256];

		gpualloc_device_reason(device, reason, sizeof reason);
		printf("%s: %s %s\n", gpualloc_device_uuid(device),
		       gpualloc_state_name(gpualloc_device_state(device)), reason);
	}
	gpualloc_machine_free(machine);
	return 0;
}
