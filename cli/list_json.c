/* SPDX-License-Identifier: Apache-2.0 */
/* `gpualloc list` for programs: JSON where every key is always there and null is not known, and
 * CSV where an empty field is not known. Sizes are bytes. */
#include "cleanup.h"
#include "json.h"
#include "list.h"
#include "open.h"

#include <string.h>

/* ---- JSON ---- */

static void add_memory(struct json *json, const gpualloc_device *device)
{
	json_open(json, "memory", '{');
	json_number(json, "total", gpualloc_device_memory_total(device));
	json_number(json, "reserved", gpualloc_device_memory_reserved(device));
	json_number(json, "used", gpualloc_device_memory_used(device));
	json_number(json, "free", gpualloc_device_memory_free(device));
	json_close(json, '}');
}

static void add_processes(struct json *json, const gpualloc_device *device)
{
	if (!gpualloc_device_processes_known(device)) {
		json_null(json, "processes");
		return;
	}
	json_open(json, "processes", '[');
	for (size_t i = 0; i < gpualloc_device_process_count(device); i++) {
		const gpualloc_process *process = gpualloc_device_process(device, i);

		json_open(json, NULL, '{');
		json_number(json, "pid", gpualloc_process_pid(process));
		json_text(json, "type", gpualloc_process_type(process));
		json_number(json, "memory", gpualloc_process_memory(process));
		json_text(json, "user", gpualloc_process_user(process));
		json_text(json, "name", gpualloc_process_name(process));
		json_close(json, '}');
	}
	json_close(json, ']');
}

/* What a GPU and an instance have in common. */
static void add_use(struct json *json, const gpualloc_device *device)
{
	auto_free char *reason = list_reason(device);

	json->out->failed = json->out->failed || !reason;
	json_text(json, "state", gpualloc_state_name(gpualloc_device_state(device)));
	json_text(json, "reason", reason && *reason ? reason : NULL);
	add_memory(json, device);
	json_number(json, "utilization", gpualloc_device_utilization(device));
	add_processes(json, device);
	json_text(json, "lease", gpualloc_device_lease(device));
}

static void add_instances(struct json *json, const gpualloc_device *device)
{
	if (!gpualloc_device_mig_enabled(device)) {
		json_null(json, "mig");
		return;
	}
	json_open(json, "mig", '[');
	for (size_t i = 0; i < gpualloc_device_mig_count(device); i++) {
		const gpualloc_device *instance = gpualloc_device_mig(device, i);

		json_line(json, "\n   ");
		json_open(json, NULL, '{');
		json_number(json, "gi", gpualloc_device_gi(instance));
		json_number(json, "ci", gpualloc_device_ci(instance));
		json_text(json, "profile", gpualloc_device_profile(instance));
		json_text(json, "uuid", gpualloc_device_uuid(instance));
		add_use(json, instance);
		json_close(json, '}');
	}
	json_close(json, ']');
}

void list_json(struct text *text, const struct call *call, const gpualloc_machine *machine)
{
	struct json json = {.out = text};

	open_document(&json, call, machine);
	json_open(&json, "devices", '[');
	for (size_t i = 0; i < gpualloc_machine_device_count(machine); i++) {
		const gpualloc_device *device = gpualloc_machine_device(machine, i);

		json_line(&json, "\n  ");
		json_open(&json, NULL, '{');
		json_number(&json, "index", gpualloc_device_index(device));
		json_text(&json, "uuid", gpualloc_device_uuid(device));
		json_text(&json, "name", gpualloc_device_name(device));
		add_use(&json, device);
		json_text(&json, "pci", gpualloc_device_pci(device));
		json_number(&json, "numa", gpualloc_device_numa(device));
		json_text(&json, "health", gpualloc_health_name(gpualloc_device_health(device)));
		add_instances(&json, device);
		json_close(&json, '}');
	}
	json_close(&json, ']');
	json_close(&json, '}');
	text_char(text, '\n');
}

/* ---- CSV ---- */

/* A field and the comma before it; quoted, as RFC 4180 has it, where it has to be. */
static void add_field(struct text *text, const char *field)
{
	text_char(text, ',');
	if (!field)
		return;
	if (!strpbrk(field, ",\"\r\n")) {
		text_add(text, field);
		return;
	}
	text_char(text, '"');
	for (; *field; field++) {
		if (*field == '"')
			text_char(text, '"');
		text_char(text, *field);
	}
	text_char(text, '"');
}

static void add_number(struct text *text, int64_t number)
{
	text_char(text, ',');
	if (number >= 0)
		text_format(text, "%lld", (long long)number);
}

static void add_line(struct text *text, const gpualloc_device *device)
{
	const gpualloc_device *parent = gpualloc_device_parent(device);
	const gpualloc_device *gpu = parent ? parent : device;
	auto_free char *reason = list_reason(device);
	char id[ID_SIZE];

	text->failed = text->failed || !reason;
	list_id(device, id);
	text_add(text, id);
	add_field(text, gpualloc_device_uuid(device));
	add_field(text, gpualloc_device_name(gpu));
	add_field(text, gpualloc_device_profile(device));
	add_field(text, gpualloc_state_name(gpualloc_device_state(device)));
	add_field(text, reason);
	add_number(text, gpualloc_device_memory_total(device));
	add_number(text, gpualloc_device_memory_reserved(device));
	add_number(text, gpualloc_device_memory_used(device));
	add_number(text, gpualloc_device_memory_free(device));
	add_number(text, gpualloc_device_utilization(device));
	add_number(text, gpualloc_device_processes_known(device)
				 ? (int64_t)gpualloc_device_process_count(device)
				 : -1);
	add_field(text, gpualloc_device_pci(gpu));
	add_number(text, gpualloc_device_numa(gpu));
	add_field(text, gpualloc_health_name(gpualloc_device_health(gpu)));
	text_char(text, '\n');
}

void list_csv(struct text *text, const gpualloc_machine *machine)
{
	text_add(text, "index,uuid,name,profile,state,reason,memory_total,memory_reserved,"
		       "memory_used,memory_free,utilization,processes,pci,numa,health\n");
	for (size_t i = 0; i < gpualloc_machine_device_count(machine); i++) {
		const gpualloc_device *device = gpualloc_machine_device(machine, i);

		add_line(text, device);
		for (size_t m = 0; m < gpualloc_device_mig_count(device); m++)
			add_line(text, gpualloc_device_mig(device, m));
	}
}
