/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVML as a source. A sick driver hangs in the kernel for ever, together with the process that asks
 * it. So children ask (answer.c) while their parent waits (ask.c), and the library is never loaded
 * into the program that uses us. Behind the administrator's fence gpualloc-probe does all that for
 * users (probe.c), for they cannot open every GPU.
 */
#include "ask.h"
#include "probe.h"

static int query(const struct ga_source_request *request, gpualloc_machine **ret_machine,
		 gpualloc_error *error)
{
	return ga_nvml_has_probe(request) ? ga_nvml_ask_probe(request, ret_machine, error)
					  : ga_nvml_ask(request, ret_machine, error);
}

const struct ga_source ga_source_nvml = {
	.name = "nvml",
	.description = "the GPUs of this machine, from the driver's library",
	.query = query,
};
