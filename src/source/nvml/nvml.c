/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVML as a source. A sick driver hangs in the kernel for ever, together with the process that asks
 * it. So children ask (answer.c) while their parent waits (ask.c), and the library is never loaded
 * into the program that uses us.
 */
#include "ask.h"

const struct ga_source ga_source_nvml = {
	.name = "nvml",
	.description = "the GPUs of this machine, from the driver's library",
	.query = ga_nvml_ask,
};
