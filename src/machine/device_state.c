/* SPDX-License-Identifier: Apache-2.0 */
/* Free or not, and why; see device_state.h. */
#include "device_state.h"

#include <stdio.h>
#include <string.h>

/*
 * How much an idle GPU may show as used: drivers 450 to 610 show 0 to 600 MiB without any program.
 */
static const int64_t usual_idle_memory = INT64_C(640) << 20;

static const char *const state_names[] = {"free",      "leased",   "in-use",   "intruder",
					  "unhealthy", "excluded", "draining", "drained",
					  "kept"};

static const char *const health_sentences[] = {
	[GPUALLOC_HEALTH_OK] = "",
	[GPUALLOC_HEALTH_LOST] = "the driver has lost this GPU; reboot to recover it",
	[GPUALLOC_HEALTH_NEEDS_RESET] = "the GPU needs a reset",
	[GPUALLOC_HEALTH_ROW_REMAP_FAILED] =
		"remapping a row of its memory failed; replace the GPU",
	[GPUALLOC_HEALTH_RETIRED_PENDING] = "memory pages are waiting to be retired; reset the GPU",
	[GPUALLOC_HEALTH_UNRESPONSIVE] = "does not answer",
	[GPUALLOC_HEALTH_NO_PERMISSION] = "this user has no permission to use the GPU",
	[GPUALLOC_HEALTH_BLOCKED] = "the operating system blocks the GPU, perhaps by a cgroup",
	[GPUALLOC_HEALTH_NO_POWER] = "its power cables are not plugged in properly",
	[GPUALLOC_HEALTH_INTERRUPT] =
		"the kernel has a problem with its interrupts; see the kernel's log (dmesg)",
	[GPUALLOC_HEALTH_FABRIC_NOT_READY] =
		"the NVLink fabric is not ready for CUDA; check nvidia-fabricmanager",
	[GPUALLOC_HEALTH_FAILED] = "the driver cannot use this GPU; see the kernel's log (dmesg)",
};

const char *ga_state_name(enum gpualloc_state state)
{
	return (size_t)state < sizeof state_names / sizeof *state_names ? state_names[state] : "?";
}

int64_t ga_device_memory_free(const struct gpualloc_device *device)
{
	const struct ga_memory *memory = &device->memory;
	int64_t taken;

	if (memory->total < 0 || memory->used < 0)
		return GA_UNKNOWN;
	taken = memory->used + (memory->reserved > 0 ? memory->reserved : 0);
	return taken < memory->total ? memory->total - taken : 0;
}

static const struct gpualloc_process *first_computing(const struct gpualloc_device *device)
{
	for (size_t i = 0; i < device->process_count; i++)
		if (ga_process_computes(&device->processes[i]))
			return &device->processes[i];
	return NULL;
}

static size_t computing_count(const struct gpualloc_device *device)
{
	size_t count = 0;

	for (size_t i = 0; i < device->process_count; i++)
		count += ga_process_computes(&device->processes[i]);
	return count;
}

static bool hides_a_user(const struct gpualloc_device *device)
{
	int64_t idle = device->idle_memory > 0 ? device->idle_memory : usual_idle_memory;

	/* Unified memory holds the host's programs too. */
	return (device->processes_hidden || !device->processes_known) && !device->memory_unified &&
	       device->memory.used > idle;
}

/* Nobody can see whether it is used. The source must say so: a text of links is no such case. */
static bool hides_everything(const struct gpualloc_device *device)
{
	return !device->parent && device->processes_hidden && !device->memory_unified &&
	       device->memory.used < 0;
}

/* Somebody uses the GPU, and it is not known whether they use this instance. */
static bool may_hide_a_user(const struct gpualloc_device *device)
{
	return device->parent && device->memory.used < 0 && !device->processes_known &&
	       hides_a_user(device->parent);
}

/*
 * The device whose processes keep this one from being free: itself, or its GPU if nobody knows
 * which instance they use.
 */
static const struct gpualloc_device *user_of(const struct gpualloc_device *device)
{
	if (first_computing(device))
		return device;
	if (device->parent && !device->processes_known && first_computing(device->parent))
		return device->parent;
	return NULL;
}

/* Whether a user is among the holders, a list of names with commas. */
bool ga_device_is_holder(const struct gpualloc_device *device, const char *user)
{
	size_t length = strlen(user);

	for (const char *name = device->lease.user; name; name = strchr(name, ',')) {
		name += *name == ',';
		if (strncmp(name, user, length) == 0 && (!name[length] || name[length] == ','))
			return true;
	}
	return false;
}

/* A pod's processes are anybody's, by number, and what it has is leased by the agent for it. */
static bool is_at_home(const struct gpualloc_device *device, const struct gpualloc_process *process)
{
	return (device->lease.by_pods && process->in_pod) ||
	       ga_device_is_holder(device, process->user);
}

/* An unknown user does not count as an intruder. */
static const struct gpualloc_process *first_intruder(const struct gpualloc_device *device)
{
	for (size_t i = 0; device->lease.user && i < device->process_count; i++) {
		const struct gpualloc_process *process = &device->processes[i];

		if (ga_process_computes(process) && process->user && !is_at_home(device, process))
			return process;
	}
	return NULL;
}

/* For a holder's process it cannot be told how much is within the budget, so all of it counts. */
static int64_t foreign_memory(const struct gpualloc_device *device)
{
	int64_t sum = 0;

	if (!device->lease.held)
		return device->memory.used > 0 ? device->memory.used : 0;
	for (size_t i = 0; i < device->process_count; i++) {
		const struct gpualloc_process *process = &device->processes[i];

		if (process->memory > 0 && process->user && device->lease.user &&
		    !is_at_home(device, process))
			sum += process->memory;
	}
	return sum;
}

int64_t ga_device_promisable(const struct gpualloc_device *device)
{
	const struct ga_memory *memory = &device->memory;
	int64_t most;

	if (memory->total < 0)
		return GA_UNKNOWN;
	most = memory->total - (memory->reserved > 0 ? memory->reserved : 0) -
	       foreign_memory(device);
	return most > 0 ? most : 0;
}

int64_t ga_device_room(const struct gpualloc_device *device)
{
	const struct ga_device_lease *lease = &device->lease;
	int64_t room = ga_device_memory_free(device), left = lease->left;

	if (room < 0 || (left < 0 && !lease->promised && !lease->whole && !lease->kept))
		return room;
	if (lease->whole || lease->kept)
		return 0;
	left = (left < 0 ? ga_device_promisable(device) : left) - lease->promised;
	return left < 0 ? 0 : left < room ? left : room;
}

static bool is_used(const struct gpualloc_device *device)
{
	return user_of(device) || hides_a_user(device) || hides_everything(device) ||
	       may_hide_a_user(device);
}

bool ga_state_is_excluded(enum gpualloc_state state)
{
	return state == GPUALLOC_STATE_EXCLUDED || state == GPUALLOC_STATE_DRAINING ||
	       state == GPUALLOC_STATE_DRAINED;
}

enum gpualloc_state ga_device_state(const struct gpualloc_device *device)
{
	const struct gpualloc_device *whole = device->parent ? device->parent : device;

	if (whole->health != GPUALLOC_HEALTH_OK)
		return GPUALLOC_STATE_UNHEALTHY;
	if (device->mig_enabled || whole->compute_mode == GA_COMPUTE_PROHIBITED)
		return GPUALLOC_STATE_EXCLUDED;
	if (device->is_drained)
		return device->lease.held || is_used(device) ? GPUALLOC_STATE_DRAINING
							     : GPUALLOC_STATE_DRAINED;
	if (device->excluded || device->lease.barred)
		return GPUALLOC_STATE_EXCLUDED;
	if (device->lease.held)
		return first_intruder(device) ? GPUALLOC_STATE_INTRUDER : GPUALLOC_STATE_LEASED;
	if (is_used(device))
		return GPUALLOC_STATE_IN_USE;
	return device->lease.kept || device->lease.promised > 0 ? GPUALLOC_STATE_KEPT
								: GPUALLOC_STATE_FREE;
}

/* Where the next words go, and how much room there is; nowhere once the text is full. */
static char *at_end(char *text, size_t size, size_t length, size_t *ret_room)
{
	*ret_room = length < size ? size - length : 0;
	return *ret_room ? text + length : NULL;
}

/* Everybody who has some of it, the first in full, and what is left for others. */
static size_t holders_reason(const struct gpualloc_device *device, char *text, size_t size)
{
	const struct ga_device_lease *lease = &device->lease;
	int64_t left = ga_device_room(device);
	size_t length = 0, room;
	char *at;

	if (lease->holder_count == 0)
		length = (size_t)snprintf(text, size, "by a holder without a record");
	for (size_t i = 0; i < lease->holder_count; i++) {
		at = at_end(text, size, length, &room);
		length += (size_t)snprintf(at, room, "%s", i > 0 ? "; " : "");
		at = at_end(text, size, length, &room);
		length += ga_held_words(lease->holders[i], i > 0, at, room);
	}
	if (lease->whole || left < 0)
		return length;
	at = at_end(text, size, length, &room);
	length += (size_t)snprintf(at, room, "; %lld MiB left", (long long)(left >> 20));
	if (!lease->promised_to)
		return length;
	at = at_end(text, size, length, &room);
	length += (size_t)snprintf(at, room, "; kept ");
	at = at_end(text, size, length, &room);
	return length + ga_device_kept_reason(device, at, room);
}

static size_t lease_reason(const struct gpualloc_device *device, char *text, size_t size)
{
	const struct gpualloc_process *intruder = first_intruder(device);
	size_t length, room;
	char *at;

	if (!intruder)
		return holders_reason(device, text, size);
	length = (size_t)snprintf(text, size, "process %lld of %s%s%s%s uses it, but it is leased ",
				  (long long)intruder->pid, intruder->user,
				  intruder->name ? " (" : "", intruder->name ? intruder->name : "",
				  intruder->name ? ")" : "");
	at = at_end(text, size, length, &room);
	return length + holders_reason(device, at, room);
}

size_t ga_device_kept_reason(const struct gpualloc_device *device, char *text, size_t size)
{
	const struct ga_device_lease *lease = &device->lease;
	size_t length, room;
	char *at;

	if (lease->kept)
		return ga_waiter_words(lease->kept, text, size);
	if (!lease->promised_to)
		return (size_t)snprintf(text, size, "%s", "");
	length = ga_waiter_words(lease->promised_to, text, size);
	at = at_end(text, size, length, &room);
	return length + (size_t)snprintf(at, room, ", %lld MiB of it",
					 (long long)(lease->promised >> 20));
}

static size_t process_reason(const struct gpualloc_device *user, bool elsewhere, char *text,
			     size_t size)
{
	const struct gpualloc_process *process = first_computing(user);
	size_t more = computing_count(user) - 1;
	char others[32] = "";

	if (more > 0)
		(void)snprintf(others, sizeof others, " and %zu more", more);
	return (size_t)snprintf(text, size, "process %lld%s%s%s%s%s%s%s", (long long)process->pid,
				process->user ? " of " : "", process->user ? process->user : "",
				process->name ? " (" : "", process->name ? process->name : "",
				process->name ? ")" : "", others,
				elsewhere ? ", on an unknown instance" : "");
}

static size_t use_reason(const struct gpualloc_device *device, char *text, size_t size)
{
	const struct gpualloc_device *whole = device->parent ? device->parent : device;
	const struct gpualloc_device *user = user_of(device);

	if (user)
		return process_reason(user, device->parent && user == device->parent, text, size);
	if (hides_everything(device))
		return (size_t)snprintf(
			text, size,
			"neither its processes nor its memory in use can be seen from here");
	if (may_hide_a_user(device))
		return (size_t)snprintf(
			text, size,
			"%lld MiB of its GPU in use; which instance, and by whom, cannot be seen "
			"from here",
			(long long)(whole->memory.used >> 20));
	return (size_t)snprintf(text, size,
				"%lld MiB in use by processes that cannot be seen from here",
				(long long)(device->memory.used >> 20));
}

/* Why the administrator took it out of use, and who still has it. */
static size_t excluded_reason(const struct gpualloc_device *device, char *text, size_t size)
{
	char holder[1024];

	if (device->lease.held)
		(void)lease_reason(device, holder, sizeof holder);
	else if (device->is_drained && is_used(device))
		(void)use_reason(device, holder, sizeof holder);
	else
		return (size_t)snprintf(text, size, "%s", device->excluded);
	return (size_t)snprintf(text, size, "%s; still %s%s", device->excluded,
				!device->lease.held      ? "in use: "
				: first_intruder(device) ? "leased: "
							 : "leased ",
				holder);
}

size_t ga_device_reason(const struct gpualloc_device *device, char *text, size_t size)
{
	const struct gpualloc_device *whole = device->parent ? device->parent : device;

	switch (ga_device_state(device)) {
	case GPUALLOC_STATE_UNHEALTHY:
		return (size_t)snprintf(text, size, "%s%s%s", health_sentences[whole->health],
					whole->reason ? ": " : "",
					whole->reason ? whole->reason : "");
	case GPUALLOC_STATE_EXCLUDED:
		if (device->mig_enabled)
			return (size_t)snprintf(text, size,
						"in MIG mode: only its %zu instances can be used",
						device->mig_count);
		if (device->excluded)
			return excluded_reason(device, text, size);
		return (size_t)snprintf(text, size, "%s",
					whole->compute_mode != GA_COMPUTE_PROHIBITED &&
							device->lease.barred
						? device->lease.barred
						: "its compute mode is prohibited");
	case GPUALLOC_STATE_LEASED:
	case GPUALLOC_STATE_INTRUDER: return lease_reason(device, text, size);
	case GPUALLOC_STATE_IN_USE: return use_reason(device, text, size);
	case GPUALLOC_STATE_KEPT: return ga_device_kept_reason(device, text, size);
	case GPUALLOC_STATE_DRAINING:
	case GPUALLOC_STATE_DRAINED: return excluded_reason(device, text, size);
	default: return (size_t)snprintf(text, size, "%s", "");
	}
}
