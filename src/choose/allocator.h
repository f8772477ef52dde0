/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which devices are taken within one program: a machine, a policy, and the set of GPUs taken. It
 * leases nothing; other programs do not see it.
 */
#ifndef GA_CHOOSE_ALLOCATOR_H
#define GA_CHOOSE_ALLOCATOR_H

#include "decide.h"

struct gpualloc_allocator {
	const gpualloc_machine *machine;
	const struct gpualloc_policy *policy; /* NULL: the default */
	struct ga_device_set taken;           /* by place */
	gpualloc_machine *own_machine;        /* what was opened with it, or NULL */
	struct gpualloc_policy *own_policy;
};

int ga_allocator_new(const gpualloc_machine *machine, const struct gpualloc_policy *policy,
		     gpualloc_allocator **ret_allocator, gpualloc_error *error);
void ga_allocator_free(gpualloc_allocator *allocator);

int ga_allocator_take(gpualloc_allocator *allocator, size_t count,
		      const gpualloc_device **ret_devices, gpualloc_error *error);
int ga_allocator_take_these(gpualloc_allocator *allocator, const gpualloc_device *const *devices,
			    size_t count, gpualloc_error *error);
int ga_allocator_give_back(gpualloc_allocator *allocator, const gpualloc_device *const *devices,
			   size_t count, gpualloc_error *error);
/* How many devices are taken, or not taken. */
size_t ga_allocator_device_count(const gpualloc_allocator *allocator, bool taken);
/* The i-th device that is taken, or not taken; NULL past the end. */
const gpualloc_device *ga_allocator_device(const gpualloc_allocator *allocator, bool taken,
					   size_t i);

#endif
