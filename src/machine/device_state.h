/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a device can be given to somebody, from what the source saw of it: health, compute mode,
 * processes, and memory in use where the process list is known not to be whole. A GPU in MIG mode
 * cannot be given: it is excluded, its instances have states of their own. Leases count where they
 * were noted on the device.
 */
#ifndef GA_MACHINE_DEVICE_STATE_H
#define GA_MACHINE_DEVICE_STATE_H

#include "machine.h"

/* Total less reserved less used; unknown where total or used is. */
int64_t ga_device_memory_free(const struct gpualloc_device *device);

/* What leases up to a budget may have together: not what the driver and strangers use. */
int64_t ga_device_promisable(const struct gpualloc_device *device);
/* Free memory less what leases may still take of it; what holders use counts once. */
int64_t ga_device_room(const struct gpualloc_device *device);

/* Whether a user is among those who lease it. */
bool ga_device_is_holder(const struct gpualloc_device *device, const char *user);

/* Of the states that mean that nobody here is given it, whoever has it now. */
bool ga_state_is_excluded(enum gpualloc_state state);
enum gpualloc_state ga_device_state(const struct gpualloc_device *device);

/* Why, as snprintf would; "" for a device that is free. */
size_t ga_device_reason(const struct gpualloc_device *device, char *text, size_t size);

const char *ga_state_name(enum gpualloc_state state);

#endif
