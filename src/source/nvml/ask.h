/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parent's side of a query. One child asks for the whole machine. If it falls silent or dies at
 * a GPU, one child per GPU asks for that GPU alone, all side by side, so that any number of sick
 * GPUs takes no longer than one. Then another child asks for the machine without the GPUs that did
 * not answer, which are shown as unhealthy.
 */
#ifndef GA_SOURCE_NVML_ASK_H
#define GA_SOURCE_NVML_ASK_H

#include "source.h"

/* GPUALLOC_ENOSOURCE if there is no machine at all; the message starts with "NVML: ". */
int ga_nvml_ask(const struct ga_source_request *request, gpualloc_machine **ret_machine,
		gpualloc_error *error);

#endif
