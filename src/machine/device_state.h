/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a device can be given out, judged by what the source saw: health, compute mode,
 * processes, and memory in use if the process list is known to be incomplete. A GPU in MIG mode
 * cannot be given out: it is excluded, and its instances have their own states. Leases count if
 * they were recorded on the device.
 */
#ifndef GA_MACHINE_DEVICE_STATE_H
#define GA_MACHINE_DEVICE_STATE_H

#include "machine.h"

/* Total minus reserved minus used; unknown if total or used is. */
int64_t ga_device_memory_free(const struct gpualloc_device *device);

/*
 * What leases with budgets may use together: everything except what the driver and strangers use.
 */
int64_t ga_device_promisable(const struct gpualloc_device *device);
/* Free memory minus what leases may still take of it; what holders already use counts once. */
int64_t ga_device_room(const struct gpualloc_device *device);

/* Whether a user is among its leaseholders. */
bool ga_device_is_holder(const struct gpualloc_device *device, const char *user);

/* Whether the state means that nobody here can get it, whoever has it now. */
bool ga_state_is_excluded(enum gpualloc_state state);
enum gpualloc_state ga_device_state(const struct gpualloc_device *device);

/* Why, as snprintf would; "" for a device that is free. */
size_t ga_device_reason(const struct gpualloc_device *device, char *text, size_t size);

/* For whom some or all of it is kept, in the same way; "" for nobody. */
size_t ga_device_kept_reason(const struct gpualloc_device *device, char *text, size_t size);

const char *ga_state_name(enum gpualloc_state state);

#endif
