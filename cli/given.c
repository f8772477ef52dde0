/* SPDX-License-Identifier: Apache-2.0 */
/* The devices of a lease or a choice; see given.h. */
#include "given.h"

#include <stdlib.h>

const gpualloc_device **given_by_lease(const gpualloc_lease *lease)
{
	size_t count = gpualloc_lease_device_count(lease);
	const gpualloc_device **devices = calloc(count + 1, sizeof(void *));

	for (size_t i = 0; devices && i < count; i++)
		devices[i] = gpualloc_lease_device(lease, i);
	return devices;
}

const gpualloc_device **given_by_choice(const gpualloc_choice *choice)
{
	size_t count = gpualloc_choice_device_count(choice);
	const gpualloc_device **devices = calloc(count + 1, sizeof(void *));

	for (size_t i = 0; devices && i < count; i++)
		devices[i] = gpualloc_choice_device(choice, i);
	return devices;
}
