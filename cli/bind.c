/* SPDX-License-Identifier: Apache-2.0 */
/* Binding, and reporting it; see bind.h. */
#include "bind.h"

#include "given.h"
#include "message.h"
#include "owned.h"

#include <stdlib.h>

int bind_check(const struct call *call)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	int result = call->value[OPTION_BIND] ? gpualloc_bind_check(error) : 0;

	return result < 0 ? fail_error(result, error) : 0;
}

/* Takes the devices. */
static int bind_to(const struct call *call, const gpualloc_device **devices, size_t count)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_auto_free const gpualloc_device **taken = devices;
	ga_auto_free char *where = NULL;
	int result;

	if (!taken)
		return fail_memory();
	result = gpualloc_bind(taken, count, &where, error);
	if (result < 0)
		return fail_error(result, error);
	if (!call->value[OPTION_QUIET])
		say("bound to %s", where);
	return 0;
}

int bind_to_lease(const struct call *call, const gpualloc_lease *lease)
{
	if (!call->value[OPTION_BIND])
		return 0;
	return bind_to(call, given_by_lease(lease), gpualloc_lease_device_count(lease));
}

int bind_to_choice(const struct call *call, const gpualloc_choice *choice)
{
	if (!call->value[OPTION_BIND])
		return 0;
	return bind_to(call, given_by_choice(choice), gpualloc_choice_device_count(choice));
}
