/* SPDX-License-Identifier: Apache-2.0 */
/* Setting a task's variables; see variables.h. */
#include "variables.h"

#include <stdio.h>
#include <string.h>

static const char *const ours[] = {
	"CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "GPUALLOC_DEVICES",
	"GPUALLOC_FD",       "GPUALLOC_LEASE",       "GPUALLOC_MEMORY",        VARIABLE_JOB,
};

void variables_clear(spank_t spank)
{
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		(void)spank_unsetenv(spank, ours[i]);
}

bool variables_set_one(spank_t spank, const char *name, const char *value)
{
	return spank_setenv(spank, name, value, 1) == ESPANK_SUCCESS;
}

bool variables_set(spank_t spank, const char *text, size_t size)
{
	for (size_t at = 0; at < size; at += strlen(text + at) + 1) {
		const char *entry = text + at, *equals = strchr(entry, '=');
		char name[64];

		if (!equals || (size_t)(equals - entry) >= sizeof name)
			return false;
		(void)snprintf(name, sizeof name, "%.*s", (int)(equals - entry), entry);
		if (!variables_set_one(spank, name, equals + 1))
			return false;
	}
	return true;
}
