/* SPDX-License-Identifier: Apache-2.0 */
/* Looking again after the claim; see settle.h. */
#include "settle.h"

#include "clock.h"
#include "config.h"
#include "device_id.h"
#include "device_state.h"
#include "source.h"
#include "text.h"

#include <time.h>

enum { SETTLE_MS = 10000, STEP_MS = 250 };

static bool is_leased(const gpualloc_lease *lease, const gpualloc_device *device)
{
	for (size_t i = 0; device->uuid && i < lease->count; i++)
		if (ga_text_same(lease->devices[i]->uuid, device->uuid))
			return true;
	return false;
}

/* NULL if nobody is on any of them. */
static const gpualloc_device *first_in_use(const gpualloc_machine *machine,
					   const gpualloc_lease *lease)
{
	for (size_t i = 0; i < machine->device_count; i++) {
		const gpualloc_device *gpu = &machine->devices[i];

		for (size_t m = 0; m <= gpu->mig_count; m++) {
			const gpualloc_device *device = m ? &gpu->mig[m - 1] : gpu;

			if (is_leased(lease, device) &&
			    ga_device_state(device) == GPUALLOC_STATE_IN_USE)
				return device;
		}
	}
	return NULL;
}

/* A shared device has company, and inside a lease the company is our own. */
static bool minds_company(const gpualloc_lease *lease)
{
	return !ga_machine_is_simulated(lease->machine) && lease->memory < 0 && lease->count > 0 &&
	       ga_ledger_level(lease->pieces[0].ranges[0]) == 0;
}

static int still_in_use(const gpualloc_device *device, gpualloc_error *error)
{
	char id[64], reason[512];

	(void)ga_device_ids(&device, 1, id, sizeof id);
	(void)ga_device_reason(device, reason, sizeof reason);
	return ga_error_set(
		error, GPUALLOC_EBUSY,
		"nobody else holds the lease, but device %s is still in use after %d s: %s", id,
		SETTLE_MS / 1000, reason);
}

static void free_machine(gpualloc_machine **machine)
{
	ga_machine_free(*machine);
}

int ga_lease_settle(const gpualloc_lease *lease, const char *spec, unsigned deadline_ms,
		    gpualloc_error *error)
{
	int64_t deadline = ga_clock_ms() + SETTLE_MS;

	if (!minds_company(lease))
		return 0;
	for (;;) {
		ga_cleanup(free_machine) gpualloc_machine *machine = NULL;
		ga_auto_config struct ga_config config = {0};
		const gpualloc_device *device;
		int result = ga_source_open_here(spec, deadline_ms, &machine, error);

		if (result < 0)
			return result;
		/*
		 * For the processes that do not count as use; mistakes in the rules were reported
		 * before.
		 */
		if (ga_config_settle(machine, &config, NULL) == GPUALLOC_ENOMEM)
			return ga_error_memory(error);
		device = first_in_use(machine, lease);
		if (!device)
			return 0;
		if (ga_clock_ms() >= deadline)
			return still_in_use(device, error);
		(void)nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
	}
}
