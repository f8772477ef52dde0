/* SPDX-License-Identifier: Apache-2.0 */
/* The example of gpualloc_machine(3). */
#include <gpualloc/gpualloc.h>
#include <stdio.h>

int main(void)
{
	gpualloc_machine *machine = NULL;
	int result = gpualloc_machine_open(NULL, 0, &machine, NULL);

	if (result < 0)
		return gpualloc_exit_status(result);
	for (size_t i = 1; i < gpualloc_machine_device_count(machine); i++)
		printf("0 and %zu: %s, %d links\n", i,
		       gpualloc_level_name(gpualloc_machine_level(machine, 0, i)),
		       gpualloc_machine_link_count(machine, 0, i));
	gpualloc_machine_free(machine);
	return 0;
}
