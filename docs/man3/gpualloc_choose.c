/* SPDX-License-Identifier: Apache-2.0 */
/* The example of gpualloc_choose(3). */
#include <gpualloc/gpualloc.h>
#include <stdio.h>

int main(void)
{
	gpualloc_error *error = gpualloc_error_new();
	gpualloc_request *request = gpualloc_request_new();
	gpualloc_machine *machine = NULL;
	gpualloc_choice *choice = NULL;
	int result = gpualloc_machine_open(NULL, 0, &machine, error);

	gpualloc_request_set_count(request, 4);
	if (result == 0)
		result = gpualloc_choose(machine, request, &choice, error);
	if (result < 0)
		fprintf(stderr, "%s\n", gpualloc_error_message(error));
	for (size_t i = 0; i < gpualloc_choice_device_count(choice); i++)
		printf("%s\n", gpualloc_device_uuid(gpualloc_choice_device(choice, i)));
	gpualloc_choice_free(choice);
	gpualloc_machine_free(machine);
	gpualloc_request_free(request);
	gpualloc_error_free(error);
	return gpualloc_exit_status(result);
}
