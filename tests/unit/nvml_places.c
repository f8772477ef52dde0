/* SPDX-License-Identifier: Apache-2.0 */
/* How many GPUs NVML has on the host below a root, for nvml_places_test.py. */
#include "cleanup.h"
#include "machine.h"
#include "source.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	struct ga_source_request request = {.root = argc > 1 ? argv[1] : "", .deadline_ms = 60000};
	ga_auto_machine gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};

	if (ga_source_nvml.query(&request, &machine, &error) < 0) {
		printf("%s\n", error.message);
		return 1;
	}
	printf("%zu GPUs\n", machine->device_count);
	return 0;
}
