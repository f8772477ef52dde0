/* SPDX-License-Identifier: Apache-2.0 */
/* The log of `nvidia-smi -q -x` and the list of `nvidia-smi -L`, as files that somebody sent. */
#include "fuzz.h"

#include "cleanup.h"
#include "source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	ga_auto_machine gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	int result = ga_source_nvidia_smi.read(text, size, &machine, &error);

	(void)ga_source_nvidia_smi.recognises(text, size);
	if (result < 0)
		fuzz_check_refusal(result, machine, &error);
	else
		fuzz_check_machine(machine);
	return 0;
}
