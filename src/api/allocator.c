/* SPDX-License-Identifier: Apache-2.0 */
/* The exported face of the allocator: the calls pass on what they are given and decide nothing. */
#include "allocator.h"

int gpualloc_allocator_new(const gpualloc_machine *machine, const gpualloc_policy *policy,
			   gpualloc_allocator **ret_allocator, gpualloc_error *error)
{
	if (!machine)
		return ga_error_missing(error, "the machine");
	return ga_allocator_new(machine, policy, ret_allocator, error);
}

int gpualloc_allocator_open(const char *spec, const char *policy,
			    gpualloc_allocator **ret_allocator, gpualloc_error *error)
{
	gpualloc_machine *machine = NULL;
	gpualloc_policy *opened = NULL;
	gpualloc_allocator *allocator;
	int result = gpualloc_machine_open(spec, 0, &machine, error);

	if (result == 0 && policy)
		result = gpualloc_policy_open(policy, &opened, error);
	if (result == 0)
		result = ga_allocator_new(machine, opened, &allocator, error);
	if (result < 0) {
		gpualloc_policy_free(opened);
		gpualloc_machine_free(machine);
		return result;
	}
	allocator->own_machine = machine;
	allocator->own_policy = opened;
	*ret_allocator = allocator;
	return 0;
}

void gpualloc_allocator_free(gpualloc_allocator *allocator)
{
	ga_allocator_free(allocator);
}

const gpualloc_machine *gpualloc_allocator_machine(const gpualloc_allocator *allocator)
{
	return allocator ? allocator->machine : NULL;
}

int gpualloc_allocator_take(gpualloc_allocator *allocator, size_t count,
			    const gpualloc_device **ret_devices, gpualloc_error *error)
{
	if (!allocator)
		return ga_error_missing(error, "the allocator");
	return ga_allocator_take(allocator, count, ret_devices, error);
}

int gpualloc_allocator_take_these(gpualloc_allocator *allocator,
				  const gpualloc_device *const *devices, size_t count,
				  gpualloc_error *error)
{
	if (!allocator || (!devices && count > 0))
		return ga_error_missing(error, "the allocator");
	return ga_allocator_take_these(allocator, devices, count, error);
}

int gpualloc_allocator_give_back(gpualloc_allocator *allocator,
				 const gpualloc_device *const *devices, size_t count,
				 gpualloc_error *error)
{
	if (!allocator || (!devices && count > 0))
		return ga_error_missing(error, "the allocator");
	return ga_allocator_give_back(allocator, devices, count, error);
}

const gpualloc_device *gpualloc_allocator_available(const gpualloc_allocator *allocator, size_t i)
{
	return allocator ? ga_allocator_device(allocator, false, i) : NULL;
}

const gpualloc_device *gpualloc_allocator_taken(const gpualloc_allocator *allocator, size_t i)
{
	return allocator ? ga_allocator_device(allocator, true, i) : NULL;
}

size_t gpualloc_allocator_available_count(const gpualloc_allocator *allocator)
{
	return allocator ? ga_allocator_device_count(allocator, false) : 0;
}

size_t gpualloc_allocator_taken_count(const gpualloc_allocator *allocator)
{
	return allocator ? ga_allocator_device_count(allocator, true) : 0;
}
