/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "cleanup.h"
#include "machine_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const enum ga_machine_form forms[] = {GA_FORM_FILE, GA_FORM_COMPLETE};

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		ga_auto_machine gpualloc_machine *machine = NULL;
		gpualloc_error error = {0};
		int result =
			ga_machine_file_read((const char *)data, size, forms[i], &machine, &error);

		if (result < 0)
			fuzz_check_refusal(result, machine, &error);
		else
			fuzz_check_machine(machine);
	}
	return 0;
}
