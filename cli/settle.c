/* SPDX-License-Identifier: Apache-2.0 */
/* Looking again after the claim; see settle.h. */
#include "settle.h"

#include "cleanup.h"
#include "list.h"
#include "message.h"
#include "open.h"
#include "stores.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SETTLE_MS = 10000, STEP_MS = 250 };

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A device of the lease that somebody is on, as the machine has it; NULL where there is none. */
static const gpualloc_device *first_in_use(const gpualloc_machine *machine,
					   const gpualloc_lease *lease)
{
	for (size_t i = 0; i < gpualloc_lease_count(lease); i++) {
		const char *uuid = gpualloc_device_uuid(gpualloc_lease_device(lease, i));
		const gpualloc_device *device = uuid ? find_device(machine, uuid) : NULL;

		if (device && gpualloc_device_state(device) == GPUALLOC_STATE_IN_USE)
			return device;
	}
	return NULL;
}

/* Where company was asked for, or is our own, there is nothing to wait for. */
static bool minds_company(const struct call *call)
{
	static const char *const by_memory[] = {"best-fit", "random", "worst-fit"};
	const char *policy = call->value[OPTION_POLICY], *outer = getenv("GPUALLOC_LEASE");

	if (call->value[OPTION_SHARE] || call->value[OPTION_IGNORE_PROCESSES])
		return false;
	for (size_t i = 0; policy && i < sizeof by_memory / sizeof *by_memory; i++)
		if (strcmp(policy, by_memory[i]) == 0)
			return false;
	return is_real_machine(call) && !(outer && *outer);
}

static int still_in_use(const gpualloc_device *device)
{
	auto_free char *reason = list_reason(device);
	char id[ID_SIZE];

	return fail(gpualloc_exit_status(GPUALLOC_EBUSY),
		    "the lease was free, but device %s is still in use after 10 s: %s; "
		    "--ignore-processes tolerates that",
		    list_id(device, id), reason ? reason : "");
}

int settle(const struct call *call, const gpualloc_lease *lease)
{
	int64_t deadline = now_ms() + SETTLE_MS;

	if (!minds_company(call))
		return 0;
	for (;;) {
		auto_error gpualloc_error *error = gpualloc_error_new();
		auto_machine gpualloc_machine *machine = NULL;
		const gpualloc_device *device;
		int result = gpualloc_machine_open(call->value[OPTION_MACHINE], call->deadline_ms,
						   &machine, error);

		if (result < 0)
			return fail_error(result, error);
		/* Processes that do not count as use; its mistakes have been told before. */
		(void)gpualloc_machine_add_config(machine, NULL);
		device = first_in_use(machine, lease);
		if (!device)
			return 0;
		if (now_ms() >= deadline)
			return still_in_use(device);
		(void)nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
	}
}
