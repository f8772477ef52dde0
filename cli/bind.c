/* SPDX-License-Identifier: Apache-2.0 */
/* Binding, and reporting it; see bind.h. */
#include "bind.h"

#include "message.h"
#include "owned.h"

#include <stdlib.h>

int bind_check(const struct call *call)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	int result = call->value[OPTION_BIND] ? gpualloc_bind_check(error) : 0;

	return result < 0 ? fail_error(result, error) : 0;
}

static int bind_to(const struct call *call, const gpualloc_device *const *devices, size_t count)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_auto_free char *where = NULL;
	int result = gpualloc_bind(devices, count, &where, error);

	if (result < 0)
		return fail_error(result, error);
	if (!call->value[OPTION_QUIET])
		say("bound to %s", where);
	return 0;
}

/* The i-th device of a lease or of a choice. */
typedef const gpualloc_device *device_function(const void *from, size_t i);

static const gpualloc_device *device_of_lease(const void *lease, size_t i)
{
	return gpualloc_lease_device(lease, i);
}

static const gpualloc_device *device_of_choice(const void *choice, size_t i)
{
	return gpualloc_choice_device(choice, i);
}

static int bind_to_all(const struct call *call, device_function *device_at, const void *from,
		       size_t count)
{
	ga_auto_free const gpualloc_device **devices = NULL;

	if (!call->value[OPTION_BIND])
		return 0;
	devices = calloc(count + 1, sizeof(void *));
	if (!devices)
		return fail_memory();
	for (size_t i = 0; i < count; i++)
		devices[i] = device_at(from, i);
	return bind_to(call, devices, count);
}

int bind_to_lease(const struct call *call, const gpualloc_lease *lease)
{
	return bind_to_all(call, device_of_lease, lease, gpualloc_lease_device_count(lease));
}

int bind_to_choice(const struct call *call, const gpualloc_choice *choice)
{
	return bind_to_all(call, device_of_choice, choice, gpualloc_choice_device_count(choice));
}
