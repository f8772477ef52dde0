/* SPDX-License-Identifier: Apache-2.0 */
/* Looking again after the claim; see settle.h. */
#include "settle.h"

#include "message.h"
#include "owned.h"
#include "stores.h"

/* If the user accepts other processes there is nothing to wait for. */
static bool minds_company(const struct call *call)
{
	return is_real_machine(call) && !call->value[OPTION_IGNORE_PROCESSES];
}

int settle(const struct call *call, const gpualloc_lease *lease)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	int result;

	if (!minds_company(call))
		return 0;
	result =
		gpualloc_lease_settle(lease, call->value[OPTION_MACHINE], call->deadline_ms, error);
	if (result == GPUALLOC_EBUSY)
		return fail(gpualloc_exit_status(result), "%s; --ignore-processes tolerates that",
			    gpualloc_error_message(error));
	return result < 0 ? fail_error(result, error) : 0;
}
