/* SPDX-License-Identifier: Apache-2.0 */
/* Who has a device, since when, and what runs there, in a few words; see list.h. */
#include "cleanup.h"
#include "list.h"
#include "open.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const gpualloc_process *first_user(const gpualloc_device *device, size_t *ret_more)
{
	const gpualloc_process *first = NULL;

	*ret_more = 0;
	for (size_t i = 0; i < gpualloc_device_process_count(device); i++) {
		const gpualloc_process *process = gpualloc_device_process(device, i);
		const char *type = gpualloc_process_type(process);

		if (type && !strchr(type, 'C'))
			continue;
		*ret_more += first != NULL;
		first = first ? first : process;
	}
	return first;
}

/* Who has it, or else who uses it, or else for whom it is kept. */
const char *list_user(const gpualloc_device *device)
{
	const char *user = gpualloc_device_lease_user(device);
	size_t more;

	if (!user && gpualloc_device_state(device) == GPUALLOC_STATE_IN_USE)
		user = gpualloc_process_user(first_user(device, &more));
	if (!user)
		user = gpualloc_waiter_user(gpualloc_device_kept_for(device));
	return user ? user : "";
}

int64_t list_since_seconds(const gpualloc_device *device)
{
	const gpualloc_held *held = gpualloc_device_held(device, 0);

	return held ? gpualloc_held_since(held)
		    : gpualloc_waiter_since(gpualloc_device_kept_for(device));
}

/* "10:42" today, else "Nov 21". */
void list_since(const gpualloc_device *device, char *cell, size_t size)
{
	int64_t since = list_since_seconds(device);
	time_t then = (time_t)since, now = time(NULL);
	struct tm at, today;

	cell[0] = '\0';
	if (since >= 0 && localtime_r(&then, &at) && localtime_r(&now, &today))
		(void)strftime(cell, size,
			       at.tm_yday == today.tm_yday && at.tm_year == today.tm_year ? "%H:%M"
											  : "%b %e",
			       &at);
}

static void add_gib(struct ga_buffer *text, int64_t bytes)
{
	if (bytes < 0)
		ga_buffer_char(text, '-');
	else
		ga_buffer_format(text, "%.1f", (double)bytes / (1 << 30));
}

/* The command of the one lease, or how many share the device; how much they have and leave. */
static void add_leases(struct ga_buffer *text, const gpualloc_device *device)
{
	size_t count = gpualloc_device_held_count(device);
	const gpualloc_held *held = gpualloc_device_held(device, 0);
	const char *command = gpualloc_held_command(held);
	bool is_share = held && gpualloc_held_memory(held) >= 0;

	if (is_share && count == 1) {
		add_gib(text, gpualloc_held_memory(held));
		ga_buffer_text(text, " GiB: ");
	}
	if (count == 1 && gpualloc_held_agent(held))
		ga_buffer_text(text, "agent: ");
	if (count > 1)
		add_count(text, count, "lease");
	else
		ga_buffer_text(text, command ? command : held ? "-" : "held, no record");
	if (count < 2)
		return;
	ga_buffer_text(text, ", ");
	add_gib(text, gpualloc_device_memory_left(device));
	ga_buffer_text(text, " GiB left");
}

static void add_user_of(struct ga_buffer *text, const gpualloc_device *device, const char *reason)
{
	size_t more;
	const gpualloc_process *process = first_user(device, &more);
	const char *name = gpualloc_process_name(process);

	if (!process) {
		ga_buffer_text(text, reason);
		return;
	}
	if (name)
		ga_buffer_text(text, name);
	else
		ga_buffer_format(text, "process %lld", (long long)gpualloc_process_pid(process));
	if (more > 0)
		ga_buffer_format(text, " and %zu more", more);
}

/* In new memory; NULL when there is none. */
char *list_what(const gpualloc_device *device, const char *reason)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	const char *request = gpualloc_waiter_request(gpualloc_device_kept_for(device));

	switch (gpualloc_device_state(device)) {
	case GPUALLOC_STATE_LEASED: add_leases(&text, device); break;
	case GPUALLOC_STATE_IN_USE: add_user_of(&text, device, reason); break;
	case GPUALLOC_STATE_KEPT:
		ga_buffer_format(&text, "waits for %s", request ? request : "it");
		break;
	default: ga_buffer_text(&text, reason);
	}
	if (text.failed)
		return NULL;
	for (char *at = text.data; at && *at; at++)
		if (ga_text_is_control(*at))
			*at = '?';
	return strdup(text.data ? text.data : "");
}
