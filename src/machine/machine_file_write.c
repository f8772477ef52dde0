/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the machine file: one GPU, one process list or one matrix row per line. */
#include "json_writer.h"
#include "machine_file.h"

static void write_memory(struct ga_json *json, const struct ga_memory *memory)
{
	if (memory->total < 0 && memory->reserved < 0 && memory->used < 0)
		return;
	ga_json_open(json, "memory", '{');
	ga_json_number_known(json, "total", memory->total);
	ga_json_number_known(json, "reserved", memory->reserved);
	ga_json_number_known(json, "used", memory->used);
	ga_json_close(json, '}');
}

static void write_processes(struct ga_json *json, const struct gpualloc_device *device)
{
	if (!device->processes_known)
		return;
	ga_json_open(json, "processes", '[');
	for (size_t i = 0; i < device->process_count; i++) {
		const struct gpualloc_process *process = &device->processes[i];

		ga_json_open(json, NULL, '{');
		ga_json_number(json, "pid", process->pid);
		ga_json_text(json, "type", ga_process_type_name(process->type));
		ga_json_number_known(json, "memory", process->memory);
		ga_json_text_known(json, "user", process->user);
		ga_json_text_known(json, "name", process->name);
		if (process->in_pod)
			ga_json_bool(json, "pod", true);
		ga_json_close(json, '}');
	}
	ga_json_close(json, ']');
}

static void write_complete(struct ga_json *json, const struct gpualloc_device *device,
			   enum ga_machine_form form)
{
	if (form != GA_FORM_COMPLETE)
		return;
	ga_json_text_known(json, "reason", device->reason);
	if (device->processes_hidden)
		ga_json_bool(json, "processes_hidden", true);
}

static void write_mig(struct ga_json *json, const struct gpualloc_device *device,
		      enum ga_machine_form form)
{
	if (!device->mig_enabled)
		return;
	ga_json_line(json, "\n   ");
	ga_json_open(json, "mig", '[');
	for (size_t i = 0; i < device->mig_count; i++) {
		const struct gpualloc_device *instance = &device->mig[i];

		ga_json_line(json, "\n    ");
		ga_json_open(json, NULL, '{');
		ga_json_text_known(json, "uuid", instance->uuid);
		ga_json_text_known(json, "profile", instance->profile);
		ga_json_number_known(json, "gi", instance->gi);
		ga_json_number_known(json, "ci", instance->ci);
		write_memory(json, &instance->memory);
		write_complete(json, instance, form);
		write_processes(json, instance);
		ga_json_close(json, '}');
	}
	ga_json_close(json, ']');
}

static void write_device(struct ga_json *json, const struct gpualloc_device *device,
			 enum ga_machine_form form)
{
	ga_json_line(json, "\n  ");
	ga_json_open(json, NULL, '{');
	ga_json_number(json, "index", device->index);
	ga_json_text_known(json, "uuid", device->uuid);
	ga_json_text_known(json, "serial", device->serial);
	ga_json_text_known(json, "name", device->name);
	ga_json_text_known(json, "pci", device->pci);
	ga_json_number_known(json, "minor", device->minor);
	ga_json_line(json, "\n   ");
	ga_json_number_known(json, "numa", device->numa);
	ga_json_text_known(json, "cpus", device->cpus);
	ga_json_number_known(json, "nvlink_version", device->nvlink_version);
	if (device->display >= 0)
		ga_json_bool(json, "display", device->display);
	write_memory(json, &device->memory);
	if (device->memory_unified)
		ga_json_bool(json, "memory_unified", true);
	ga_json_number_known(json, "utilization", device->utilization);
	ga_json_text_known(json, "compute_mode", ga_compute_mode_name(device->compute_mode));
	ga_json_text(json, "health", ga_health_name(device->health));
	write_complete(json, device, form);
	if (device->processes_known)
		ga_json_line(json, "\n   ");
	write_processes(json, device);
	write_mig(json, device, form);
	ga_json_close(json, '}');
}

static void write_levels(struct ga_json *json, const struct ga_links *links)
{
	ga_json_line(json, "\n ");
	ga_json_open(json, "pcie", '[');
	for (size_t i = 0; i < links->count; i++) {
		ga_json_line(json, "\n  ");
		ga_json_open(json, NULL, '[');
		for (size_t j = 0; j < links->count; j++) {
			enum gpualloc_level level = ga_links_level(links, i, j);

			if (level == GPUALLOC_LEVEL_UNKNOWN)
				ga_json_null(json, NULL);
			else
				ga_json_text(json, NULL, ga_level_name(level));
		}
		ga_json_close(json, ']');
	}
	ga_json_close(json, ']');
}

static void write_nvlinks(struct ga_json *json, const struct ga_links *links)
{
	bool any = false;

	for (size_t cell = 0; cell < links->count * links->count; cell++)
		any = any || links->nvlinks[cell] != 0;
	if (!any)
		return;
	ga_json_line(json, "\n ");
	ga_json_open(json, "nvlink", '[');
	for (size_t i = 0; i < links->count; i++) {
		ga_json_line(json, "\n  ");
		ga_json_open(json, NULL, '[');
		for (size_t j = 0; j < links->count; j++) {
			int nvlinks = ga_links_nvlinks(links, i, j);

			if (nvlinks < 0)
				ga_json_null(json, NULL);
			else
				ga_json_number(json, NULL, nvlinks);
		}
		ga_json_close(json, ']');
	}
	ga_json_close(json, ']');
}

/* Only what was read: the rest is inferred again. */
static void write_p2p(struct ga_json *json, const struct ga_links *links)
{
	bool any = false;

	for (size_t cell = 0; cell < links->count * links->count; cell++)
		any = any || links->p2p[cell] != GPUALLOC_P2P_UNKNOWN;
	if (!any)
		return;
	ga_json_line(json, "\n ");
	ga_json_open(json, "p2p", '[');
	for (size_t i = 0; i < links->count; i++) {
		ga_json_line(json, "\n  ");
		ga_json_open(json, NULL, '[');
		for (size_t j = 0; j < links->count; j++) {
			const char *word = ga_p2p_name(ga_links_p2p_read(links, i, j));

			if (i == j)
				ga_json_text(json, NULL, "X");
			else if (word)
				ga_json_text(json, NULL, word);
			else
				ga_json_null(json, NULL);
		}
		ga_json_close(json, ']');
	}
	ga_json_close(json, ']');
}

static void write_inferred(struct ga_json *json, const struct ga_links *links)
{
	bool any = false;

	for (size_t i = 0; i < links->count; i++)
		for (size_t j = i + 1; j < links->count; j++) {
			if (!ga_links_inferred(links, i, j))
				continue;
			if (!any) {
				ga_json_line(json, "\n ");
				ga_json_open(json, "inferred", '[');
				any = true;
			}
			ga_json_open(json, NULL, '[');
			ga_json_number(json, NULL, (int64_t)i);
			ga_json_number(json, NULL, (int64_t)j);
			ga_json_close(json, ']');
		}
	if (any)
		ga_json_close(json, ']');
}

static void write_notes(struct ga_json *json, const gpualloc_machine *machine)
{
	ga_json_open(json, "notes", '[');
	for (size_t i = 0; i < machine->note_count; i++)
		ga_json_text(json, NULL, machine->notes[i]);
	ga_json_close(json, ']');
}

int ga_machine_file_write(const gpualloc_machine *machine, enum ga_machine_form form,
			  struct ga_buffer *out, gpualloc_error *error)
{
	struct ga_json json = GA_JSON_INIT(out);

	ga_json_open(&json, NULL, '{');
	ga_json_number(&json, "gpualloc_machine", 1);
	ga_json_text_known(&json, "name", machine->name);
	ga_json_text_known(&json, "source", machine->source);
	ga_json_text_known(&json, "driver", machine->driver);
	if (machine->fenced)
		ga_json_bool(&json, "fenced", true);
	if (machine->sockets >= 0 || machine->cores_per_socket >= 0 ||
	    machine->threads_per_core >= 0) {
		ga_json_line(&json, "\n ");
		ga_json_open(&json, "cpu", '{');
		ga_json_number_known(&json, "sockets", machine->sockets);
		ga_json_number_known(&json, "cores_per_socket", machine->cores_per_socket);
		ga_json_number_known(&json, "threads_per_core", machine->threads_per_core);
		ga_json_close(&json, '}');
	}
	if (form == GA_FORM_COMPLETE)
		write_notes(&json, machine);
	ga_json_line(&json, "\n ");
	ga_json_open(&json, "devices", '[');
	for (size_t i = 0; i < machine->device_count; i++)
		write_device(&json, &machine->devices[i], form);
	ga_json_close(&json, ']');
	write_levels(&json, &machine->links);
	write_nvlinks(&json, &machine->links);
	write_p2p(&json, &machine->links);
	write_inferred(&json, &machine->links);
	ga_json_close(&json, '}');
	ga_buffer_char(out, '\n');
	if (!out->failed)
		return 0;
	if (out->size > out->limit / 2)
		return ga_error_set(error, GPUALLOC_EDATA,
				    "the machine needs more than %zu bytes as a file", out->limit);
	return ga_error_memory(error);
}
