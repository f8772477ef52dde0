/* SPDX-License-Identifier: Apache-2.0 */
/* Looking again after the claim; see settle.h. */
#include "settle.h"

#include "cleanup.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SETTLE_MS = 10000, STEP_MS = 250 };

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_named(const gpualloc_device *device, const char *uuid)
{
	const char *own = gpualloc_device_uuid(device);

	return own && strcmp(own, uuid) == 0;
}

static const gpualloc_device *find_device(const gpualloc_machine *machine, const char *uuid)
{
	for (size_t i = 0; i < gpualloc_machine_device_count(machine); i++) {
		const gpualloc_device *device = gpualloc_machine_device(machine, i);

		if (is_named(device, uuid))
			return device;
		for (size_t m = 0; m < gpualloc_device_mig_count(device); m++)
			if (is_named(gpualloc_device_mig(device, m), uuid))
				return gpualloc_device_mig(device, m);
	}
	return NULL;
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

static void say_in_use(const gpualloc_device *device, char *sentence, size_t size)
{
	char id[64], reason[512];

	(void)gpualloc_device_ids(&device, 1, id, sizeof id);
	(void)gpualloc_device_reason(device, reason, sizeof reason);
	(void)snprintf(sentence, size,
		       "the lease was free, but device %s is still in use after 10 s: %s", id,
		       reason);
}

bool settle(const gpualloc_lease *lease, const char *spec, char *sentence, size_t size)
{
	int64_t deadline = now_ms() + SETTLE_MS;

	if (gpualloc_machine_is_simulated(gpualloc_lease_machine(lease)))
		return true;
	for (;;) {
		auto_error gpualloc_error *error = gpualloc_error_new();
		auto_machine gpualloc_machine *machine = NULL;
		const gpualloc_device *device;

		if (gpualloc_machine_open(spec, 0, &machine, error) < 0) {
			(void)snprintf(sentence, size, "%s", gpualloc_error_message(error));
			return false;
		}
		/* Processes that do not count as use; its mistakes have been told before. */
		(void)gpualloc_machine_add_config(machine, NULL);
		device = first_in_use(machine, lease);
		if (!device)
			return true;
		if (now_ms() >= deadline) {
			say_in_use(device, sentence, size);
			return false;
		}
		(void)nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
	}
}
