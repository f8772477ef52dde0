/* SPDX-License-Identifier: Apache-2.0 */
/* Which devices `gpualloc list` shows; see list.h. */
#include "list.h"

#include <string.h>

static bool is(const char *name, const char *user)
{
	return name && strcmp(name, user) == 0;
}

/* Has a lease on it, runs something on it, or is the one it is kept for. */
static bool concerns(const gpualloc_device *device, const char *user)
{
	for (size_t i = 0; i < gpualloc_device_held_count(device); i++)
		if (is(gpualloc_held_user(gpualloc_device_held(device, i)), user))
			return true;
	for (size_t i = 0; i < gpualloc_device_process_count(device); i++)
		if (is(gpualloc_process_user(gpualloc_device_process(device, i)), user))
			return true;
	return is(gpualloc_waiter_user(gpualloc_device_kept_for(device)), user);
}

static bool shows_itself(const struct list_filter *filter, const gpualloc_device *device)
{
	if (filter->only_free && gpualloc_device_state(device) != GPUALLOC_STATE_FREE)
		return false;
	return !filter->user || concerns(device, filter->user);
}

bool list_shows(const struct list_filter *filter, const gpualloc_device *device)
{
	if (shows_itself(filter, device))
		return true;
	for (size_t i = 0; i < gpualloc_device_mig_count(device); i++)
		if (shows_itself(filter, gpualloc_device_mig(device, i)))
			return true;
	return false;
}
