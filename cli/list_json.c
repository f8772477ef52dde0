/* SPDX-License-Identifier: Apache-2.0 */
/* `gpualloc list` for programs: JSON, where every key is always there and null means not known, and
 * CSV, where an empty field means not known. Sizes are in bytes. */
#include "cleanup.h"
#include "device.h"
#include "held_json.h"
#include "json_writer.h"
#include "list.h"
#include "open.h"

#include <string.h>

/* ---- JSON ---- */

static void add_memory(struct ga_json *json, const gpualloc_device *device)
{
	ga_json_open(json, "memory", '{');
	ga_json_number(json, "total", gpualloc_device_memory_total(device));
	ga_json_number(json, "reserved", gpualloc_device_memory_reserved(device));
	ga_json_number(json, "used", gpualloc_device_memory_used(device));
	ga_json_number(json, "free", gpualloc_device_memory_left(device));
	ga_json_close(json, '}');
}

static void add_processes(struct ga_json *json, const gpualloc_device *device)
{
	if (!ga_json_open_known(json, "processes", '[', gpualloc_device_processes_known(device)))
		return;
	for (size_t i = 0; i < gpualloc_device_process_count(device); i++) {
		const gpualloc_process *process = gpualloc_device_process(device, i);

		ga_json_open(json, NULL, '{');
		ga_json_number(json, "pid", gpualloc_process_pid(process));
		ga_json_text(json, "type", gpualloc_process_type(process));
		ga_json_number(json, "memory", gpualloc_process_memory(process));
		ga_json_text(json, "user", gpualloc_process_user(process));
		ga_json_text(json, "name", gpualloc_process_name(process));
		if (gpualloc_process_in_pod(process))
			ga_json_bool(json, "pod", true);
		ga_json_close(json, '}');
	}
	ga_json_close(json, ']');
}

/* Everybody who has some of it. */
static void add_leases(struct ga_json *json, const gpualloc_device *device)
{
	ga_json_text(json, "lease", gpualloc_device_lease(device));
	ga_json_open(json, "leases", '[');
	for (size_t i = 0; i < gpualloc_device_held_count(device); i++) {
		ga_json_open(json, NULL, '{');
		held_json_who(json, gpualloc_device_held(device, i));
		ga_json_close(json, '}');
	}
	ga_json_close(json, ']');
}

/* For whom it is kept; null if for nobody. */
static void add_kept(struct ga_json *json, const gpualloc_device *device)
{
	const gpualloc_waiter *waiter = gpualloc_device_kept_for(device);

	if (!ga_json_open_known(json, "kept_for", '{', waiter != NULL))
		return;
	ga_json_text(json, "user", gpualloc_waiter_user(waiter));
	ga_json_number(json, "pid", gpualloc_waiter_pid(waiter));
	ga_json_number(json, "since", gpualloc_waiter_since(waiter));
	ga_json_text(json, "request", gpualloc_waiter_request(waiter));
	ga_json_close(json, '}');
}

/* What a GPU and an instance have in common. */
static void add_use(struct ga_json *json, const gpualloc_device *device)
{
	ga_auto_free char *reason = device_reason(device);

	json->out->failed = json->out->failed || !reason;
	ga_json_text(json, "state", gpualloc_state_name(gpualloc_device_state(device)));
	ga_json_text(json, "reason", reason && *reason ? reason : NULL);
	add_memory(json, device);
	ga_json_number(json, "utilization", gpualloc_device_utilization(device));
	add_processes(json, device);
	add_leases(json, device);
	add_kept(json, device);
}

static void add_instances(struct ga_json *json, const gpualloc_device *device,
			  const struct list_filter *filter)
{
	if (!ga_json_open_known(json, "mig", '[', gpualloc_device_mig_enabled(device)))
		return;
	for (size_t i = 0; i < gpualloc_device_mig_count(device); i++) {
		const gpualloc_device *instance = gpualloc_device_mig(device, i);

		if (!list_shows(filter, instance))
			continue;
		ga_json_open_line(json, "\n   ", NULL, '{');
		ga_json_number(json, "gi", gpualloc_device_gi(instance));
		ga_json_number(json, "ci", gpualloc_device_ci(instance));
		ga_json_text(json, "profile", gpualloc_device_profile(instance));
		ga_json_text(json, "uuid", gpualloc_device_uuid(instance));
		add_use(json, instance);
		ga_json_close(json, '}');
	}
	ga_json_close(json, ']');
}

static void add_display(struct ga_json *json, const gpualloc_device *device)
{
	int display = gpualloc_device_display(device);

	if (display < 0)
		ga_json_null(json, "display");
	else
		ga_json_bool(json, "display", display);
}

void list_json(struct ga_buffer *text, const struct call *call, const gpualloc_machine *machine,
	       const struct list_filter *filter)
{
	struct ga_json json = {.out = text};

	open_document(&json, call, machine);
	ga_json_open(&json, "devices", '[');
	for (size_t i = 0; i < gpualloc_machine_device_count(machine); i++) {
		const gpualloc_device *device = gpualloc_machine_device(machine, i);

		if (!list_shows(filter, device))
			continue;
		ga_json_open_line(&json, "\n  ", NULL, '{');
		ga_json_number(&json, "index", gpualloc_device_index(device));
		ga_json_text(&json, "uuid", gpualloc_device_uuid(device));
		ga_json_text(&json, "name", gpualloc_device_name(device));
		add_use(&json, device);
		ga_json_text(&json, "pci", gpualloc_device_pci(device));
		ga_json_text(&json, "serial", gpualloc_device_serial(device));
		ga_json_number(&json, "numa", gpualloc_device_numa(device));
		add_display(&json, device);
		ga_json_text(&json, "compute_mode", gpualloc_device_compute_mode(device));
		ga_json_text(&json, "health", gpualloc_health_name(gpualloc_device_health(device)));
		add_instances(&json, device, filter);
		ga_json_close(&json, '}');
	}
	ga_json_close(&json, ']');
	end_document(&json);
}

/* ---- CSV ---- */

/* A field and the comma before it; quoted as in RFC 4180 if it has to be. */
static void add_field(struct ga_buffer *text, const char *field)
{
	ga_buffer_char(text, ',');
	if (!field)
		return;
	if (!strpbrk(field, ",\"\r\n")) {
		ga_buffer_text(text, field);
		return;
	}
	ga_buffer_char(text, '"');
	for (; *field; field++) {
		if (*field == '"')
			ga_buffer_char(text, '"');
		ga_buffer_char(text, *field);
	}
	ga_buffer_char(text, '"');
}

static void add_number(struct ga_buffer *text, int64_t number)
{
	ga_buffer_char(text, ',');
	if (number >= 0)
		ga_buffer_format(text, "%lld", (long long)number);
}

static void add_line(struct ga_buffer *text, const gpualloc_device *device)
{
	const gpualloc_device *parent = gpualloc_device_parent(device);
	const gpualloc_device *gpu = parent ? parent : device;
	ga_auto_free char *reason = device_reason(device);
	char id[ID_SIZE];

	text->failed = text->failed || !reason;
	device_id(device, id);
	ga_buffer_text(text, id);
	add_field(text, gpualloc_device_uuid(device));
	add_field(text, gpualloc_device_name(gpu));
	add_field(text, gpualloc_device_profile(device));
	add_field(text, gpualloc_state_name(gpualloc_device_state(device)));
	add_field(text, reason);
	add_number(text, gpualloc_device_memory_total(device));
	add_number(text, gpualloc_device_memory_reserved(device));
	add_number(text, gpualloc_device_memory_used(device));
	add_number(text, gpualloc_device_memory_left(device));
	add_number(text, gpualloc_device_utilization(device));
	add_number(text, gpualloc_device_processes_known(device)
				 ? (int64_t)gpualloc_device_process_count(device)
				 : -1);
	add_field(text, gpualloc_device_pci(gpu));
	add_number(text, gpualloc_device_numa(gpu));
	add_field(text, gpualloc_health_name(gpualloc_device_health(gpu)));
	ga_buffer_char(text, '\n');
}

void list_csv(struct ga_buffer *text, const gpualloc_machine *machine,
	      const struct list_filter *filter)
{
	ga_buffer_text(text, "index,uuid,name,profile,state,reason,memory_total,memory_reserved,"
			     "memory_used,memory_free,utilization,processes,pci,numa,health\n");
	for (size_t i = 0; i < gpualloc_machine_device_count(machine); i++) {
		const gpualloc_device *device = gpualloc_machine_device(machine, i);

		if (list_shows(filter, device))
			add_line(text, device);
		for (size_t m = 0; m < gpualloc_device_mig_count(device); m++)
			if (list_shows(filter, gpualloc_device_mig(device, m)))
				add_line(text, gpualloc_device_mig(device, m));
	}
}
