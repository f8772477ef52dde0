/* SPDX-License-Identifier: Apache-2.0 */
/* The table of `nvidia-smi --query-gpu`, with a header or as asked. */
#include "fuzz.h"

#include "cleanup.h"
#include "smi/smi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const asked[] = {"index", "uuid", "name", "memory.used"};
	ga_auto_machine gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	int result = ga_smi_csv_read((const char *)data, size, asked, 4, &machine, &error);

	if (result == 0)
		result = ga_smi_settle(machine, &error);
	if (result < 0)
		fuzz_check_refusal(result, NULL, &error);
	else
		fuzz_check_machine(machine);
	return 0;
}
