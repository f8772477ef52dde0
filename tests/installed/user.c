/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Somebody's program, built against what was installed.
 */
#include <gpualloc/gpualloc.h>

#include <stdio.h>

int main(void)
{
	gpualloc_error *error = gpualloc_error_new();
	gpualloc_machine *machine = NULL;
	int status = gpualloc_machine_open("dgx1-volta", 0, &machine, error);

	if (status < 0) {
		(void)fprintf(stderr, "%s\n", gpualloc_error_message(error));
		return gpualloc_exit_status(gpualloc_error_status(error));
	}
	(void)printf("%zu devices\n", gpualloc_machine_device_count(machine));
	gpualloc_machine_free(machine);
	gpualloc_error_free(error);
	return 0;
}
