/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the machine file. Every byte is hostile until it has been checked here: types, ranges and
 * shapes are checked field by field, and an error names the field. Unknown keys are ignored.
 */
#include "cleanup.h"
#include "json_reader.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

enum {
	VALUES_MAX = 9 << 20, /* of JSON: 1,700 devices have three matrices of 3 million cells */
	LINKS_VERSION_MAX = 64,
};
static const int64_t bytes_max = INT64_C(1) << 56;

static void json_cleanup(json_t **json)
{
	json_decref(*json);
}
#define auto_json ga_cleanup(json_cleanup)

static int read_memory(struct ga_json_reader *reader, const json_t *object, const char *path,
		       struct ga_memory *memory)
{
	const json_t *json = json_object_get(object, "memory");
	struct ga_json_path inner = ga_json_path_of("%smemory.", path);
	int result;

	if (!json)
		return 0;
	if (!json_is_object(json))
		return ga_json_wrong_type(reader, path, "memory", "an object", json);
	result = ga_json_read_number(reader, json, inner.text, "total", 0, bytes_max,
				     &memory->total);
	if (result == 0)
		result = ga_json_read_number(reader, json, inner.text, "reserved", 0, bytes_max,
					     &memory->reserved);
	if (result == 0)
		result = ga_json_read_number(reader, json, inner.text, "used", 0, bytes_max,
					     &memory->used);
	return result;
}

static int read_process(struct ga_json_reader *reader, const json_t *json, const char *path,
			struct gpualloc_device *device)
{
	struct gpualloc_process *process = ga_device_add_process(device);
	ga_auto_free char *type = NULL;
	bool found;
	int result;

	if (!process)
		return ga_error_memory(reader->error);
	result = ga_json_read_number(reader, json, path, "pid", 0, INT32_MAX, &process->pid);
	if (result == 0 && process->pid < 0)
		result = ga_error_set(reader->error, GPUALLOC_EDATA, "%spid: is required", path);
	if (result == 0)
		result = ga_json_read_text(reader, json, path, "type", &type);
	if (result == 0 && type && !ga_process_type_find(type, &process->type))
		result = ga_json_unknown_word(reader, path, "type", type, "C, G, C+G, M+C");
	if (result == 0)
		result = ga_json_read_number(reader, json, path, "memory", 0, bytes_max,
					     &process->memory);
	if (result == 0)
		result = ga_json_read_text(reader, json, path, "user", &process->user);
	if (result == 0)
		result = ga_json_read_text(reader, json, path, "name", &process->name);
	if (result == 0)
		result = ga_json_read_bool(reader, json, path, "pod", &process->in_pod, &found);
	return result;
}

static int read_processes(struct ga_json_reader *reader, const json_t *object, const char *path,
			  struct gpualloc_device *device)
{
	const json_t *list, *json;
	size_t i;
	int result = ga_json_read_list(reader, object, path, "processes", GA_PROCESSES_MAX, &list);

	if (result < 0 || !list)
		return result;
	device->processes_known = true;
	json_array_foreach(list, i, json)
	{
		struct ga_json_path inner = ga_json_path_of("%sprocesses[%zu].", path, i);

		if (!json_is_object(json))
			return ga_json_wrong_type(reader,
						  ga_json_path_of("%sprocesses[%zu]", path, i).text,
						  "", "an object", json);
		result = read_process(reader, json, inner.text, device);
		if (result < 0)
			return result;
	}
	return 0;
}

static int read_complete(struct ga_json_reader *reader, const json_t *object, const char *path,
			 struct gpualloc_device *device)
{
	bool found;
	int result;

	if (reader->form != GA_FORM_COMPLETE)
		return 0;
	result = ga_json_read_text(reader, object, path, "reason", &device->reason);
	if (result == 0)
		result = ga_json_read_bool(reader, object, path, "processes_hidden",
					   &device->processes_hidden, &found);
	return result;
}

static int read_instance(struct ga_json_reader *reader, const json_t *json, const char *path,
			 struct gpualloc_device *instance)
{
	int result = ga_json_read_text(reader, json, path, "uuid", &instance->uuid);

	if (result == 0)
		result = ga_json_read_text(reader, json, path, "profile", &instance->profile);
	if (result == 0)
		result = ga_json_read_number(reader, json, path, "gi", 0, INT16_MAX, &instance->gi);
	if (result == 0)
		result = ga_json_read_number(reader, json, path, "ci", 0, INT16_MAX, &instance->ci);
	if (result == 0)
		result = read_memory(reader, json, path, &instance->memory);
	if (result == 0)
		result = read_complete(reader, json, path, instance);
	if (result == 0)
		result = read_processes(reader, json, path, instance);
	return result;
}

static int read_mig(struct ga_json_reader *reader, const json_t *object, const char *path,
		    struct gpualloc_device *device)
{
	const json_t *list, *json;
	size_t i;
	int result = ga_json_read_list(reader, object, path, "mig", GA_MIG_MAX, &list);

	if (result < 0 || !list)
		return result;
	device->mig_enabled = true;
	json_array_foreach(list, i, json)
	{
		struct gpualloc_device *instance = ga_device_add_mig(device);

		if (!instance)
			return ga_error_memory(reader->error);
		if (!json_is_object(json))
			return ga_json_wrong_type(reader,
						  ga_json_path_of("%smig[%zu]", path, i).text, "",
						  "an object", json);
		result = read_instance(reader, json, ga_json_path_of("%smig[%zu].", path, i).text,
				       instance);
		if (result < 0)
			return result;
	}
	return 0;
}

static int read_words(struct ga_json_reader *reader, const json_t *json, const char *path,
		      struct gpualloc_device *device)
{
	ga_auto_free char *mode = NULL, *health = NULL;
	bool display = false, found = false;
	int result = ga_json_read_text(reader, json, path, "compute_mode", &mode);

	if (result == 0 && mode && !ga_compute_mode_find(mode, &device->compute_mode))
		result = ga_json_unknown_word(
			reader, path, "compute_mode", mode,
			"default, exclusive-thread, prohibited, exclusive-process");
	if (result == 0)
		result = ga_json_read_text(reader, json, path, "health", &health);
	if (result == 0 && health && !ga_health_find(health, &device->health))
		result = ga_json_unknown_word(
			reader, path, "health", health,
			"ok, lost, needs-reset, row-remap-failed, retired-pending, unresponsive, "
			"no-permission, blocked, no-power, interrupt, fabric-not-ready, failed");
	if (result == 0)
		result = ga_json_read_bool(reader, json, path, "display", &display, &found);
	if (found)
		device->display = display;
	if (result == 0)
		result = ga_json_read_bool(reader, json, path, "memory_unified",
					   &device->memory_unified, &found);
	return result;
}

static int read_pci(struct ga_json_reader *reader, const json_t *json, const char *path,
		    struct gpualloc_device *device)
{
	char pci[20];
	int result = ga_json_read_text(reader, json, path, "pci", &device->pci);

	if (result == 0 && device->pci && ga_pci_normalise(device->pci, strlen(device->pci), pci) &&
	    ga_set_text(&device->pci, pci) < 0)
		return ga_error_memory(reader->error);
	return result;
}

static int read_device(struct ga_json_reader *reader, const json_t *json, const char *path,
		       struct gpualloc_device *device)
{
	int result = ga_json_read_text(reader, json, path, "uuid", &device->uuid);

	if (result == 0)
		result = ga_json_read_text(reader, json, path, "serial", &device->serial);
	if (result == 0)
		result = ga_json_read_text(reader, json, path, "name", &device->name);
	if (result == 0)
		result = read_pci(reader, json, path, device);
	if (result == 0)
		result = ga_json_read_number(reader, json, path, "minor", 0, INT32_MAX,
					     &device->minor);
	if (result == 0)
		result = ga_json_read_number(reader, json, path, "numa", 0, INT16_MAX,
					     &device->numa);
	if (result == 0)
		result = ga_json_read_text(reader, json, path, "cpus", &device->cpus);
	if (result == 0)
		result = ga_json_read_number(reader, json, path, "nvlink_version", 0,
					     LINKS_VERSION_MAX, &device->nvlink_version);
	if (result == 0)
		result = read_memory(reader, json, path, &device->memory);
	if (result == 0)
		result = ga_json_read_number(reader, json, path, "utilization", 0, 100,
					     &device->utilization);
	if (result == 0)
		result = read_words(reader, json, path, device);
	if (result == 0)
		result = read_complete(reader, json, path, device);
	if (result == 0)
		result = read_processes(reader, json, path, device);
	if (result == 0)
		result = read_mig(reader, json, path, device);
	return result;
}

/* ---- devices may come in any order; the machine has them in order of index ---- */

struct order {
	int64_t index;
	size_t position;
};

static int by_index(const void *a, const void *b)
{
	const struct order *one = a, *other = b;

	if (one->index != other->index)
		return one->index < other->index ? -1 : 1;
	return one->position < other->position ? -1 : one->position > other->position;
}

static int read_order(struct ga_json_reader *reader, const json_t *list, struct order *order)
{
	const json_t *json;
	size_t i;

	json_array_foreach(list, i, json)
	{
		struct ga_json_path path = ga_json_path_of("devices[%zu].", i);
		int result;

		if (!json_is_object(json))
			return ga_json_wrong_type(reader, ga_json_path_of("devices[%zu]", i).text,
						  "", "an object", json);
		order[i] = (struct order){GA_UNKNOWN, i};
		result = ga_json_read_number(reader, json, path.text, "index", 0, INT32_MAX,
					     &order[i].index);
		if (result < 0)
			return result;
		if (order[i].index < 0)
			return ga_error_set(reader->error, GPUALLOC_EDATA, "%sindex: is required",
					    path.text);
	}
	qsort(order, json_array_size(list), sizeof *order, by_index);
	for (i = 1; i < json_array_size(list); i++)
		if (order[i].index == order[i - 1].index)
			return ga_error_set(
				reader->error, GPUALLOC_EDATA,
				"devices[%zu].index: %lld is already the index of devices[%zu]",
				order[i].position, (long long)order[i].index,
				order[i - 1].position);
	return 0;
}

static int read_devices(struct ga_json_reader *reader, const json_t *root,
			gpualloc_machine **ret_machine)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	ga_auto_free struct order *order = NULL;
	const json_t *list;
	int result = ga_json_read_list(reader, root, "", "devices", GA_DEVICES_MAX, &list);

	if (result < 0)
		return result;
	if (!list)
		return ga_error_set(reader->error, GPUALLOC_EDATA, "devices: is required");
	order = calloc(json_array_size(list) + 1, sizeof *order);
	if (!order)
		return ga_error_memory(reader->error);
	result = read_order(reader, list, order);
	if (result == 0)
		result = ga_machine_new(json_array_size(list), &machine, reader->error);
	for (size_t i = 0; result == 0 && i < json_array_size(list); i++) {
		size_t position = order[i].position;

		machine->devices[i].index = order[i].index;
		result = read_device(reader, json_array_get(list, position),
				     ga_json_path_of("devices[%zu].", position).text,
				     &machine->devices[i]);
	}
	if (result == 0)
		*ret_machine = ga_steal(&machine);
	return result;
}

/* ---- the document ---- */

static int read_cpu(struct ga_json_reader *reader, const json_t *root, gpualloc_machine *machine)
{
	const json_t *json = json_object_get(root, "cpu");
	int result;

	if (!json)
		return 0;
	if (!json_is_object(json))
		return ga_json_wrong_type(reader, "", "cpu", "an object", json);
	result = ga_json_read_number(reader, json, "cpu.", "sockets", 1, 4096, &machine->sockets);
	if (result == 0)
		result = ga_json_read_number(reader, json, "cpu.", "cores_per_socket", 1, 65536,
					     &machine->cores_per_socket);
	if (result == 0)
		result = ga_json_read_number(reader, json, "cpu.", "threads_per_core", 1, 64,
					     &machine->threads_per_core);
	return result;
}

static int read_notes(struct ga_json_reader *reader, const json_t *root, gpualloc_machine *machine)
{
	const json_t *list, *json;
	size_t i;
	int result;

	if (reader->form != GA_FORM_COMPLETE)
		return 0;
	result = ga_json_read_list(reader, root, "", "notes", GA_DEVICES_MAX, &list);
	if (result < 0 || !list)
		return result;
	json_array_foreach(list, i,
			   json) if (json_is_string(json) &&
				     ga_machine_note(machine, "%s", json_string_value(json)) <
					     0) return ga_error_memory(reader->error);
	return 0;
}

static int read_document(struct ga_json_reader *reader, const json_t *root,
			 gpualloc_machine **ret_machine)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	int64_t version = GA_UNKNOWN;
	bool found;
	int result;

	if (!json_is_object(root))
		return ga_json_wrong_type(reader, "", "the document", "an object", root);
	result = ga_json_read_number(reader, root, "", "gpualloc_machine", 1, 1, &version);
	if (result == 0 && version < 0)
		result = ga_error_set(reader->error, GPUALLOC_EDATA,
				      "gpualloc_machine: is required; this is not a machine file");
	if (result == 0)
		result = read_devices(reader, root, &machine);
	if (result == 0)
		result = ga_json_read_text(reader, root, "", "name", &machine->name);
	if (result == 0)
		result = ga_json_read_text(reader, root, "", "source", &machine->source);
	if (result == 0)
		result = ga_json_read_text(reader, root, "", "driver", &machine->driver);
	if (result == 0)
		result = ga_json_read_bool(reader, root, "", "fenced", &machine->fenced, &found);
	if (result == 0)
		result = read_cpu(reader, root, machine);
	if (result == 0)
		result = read_notes(reader, root, machine);
	if (result == 0)
		result = ga_machine_file_read_links(reader, root, &machine->links);
	if (result == 0)
		result = ga_machine_finish(machine, reader->error);
	if (result == 0)
		*ret_machine = ga_steal(&machine);
	return result;
}

/* Every value follows a comma or an opening bracket. */
static bool too_many_values(const char *text, size_t size)
{
	size_t values = 0;

	for (size_t i = 0; i < size; i++)
		values += text[i] == ',' || text[i] == '[' || text[i] == '{';
	return values > VALUES_MAX;
}

/*
 * jansson reports a syntax error when it runs out of memory in the middle of a word. A real error
 * appears again in the same place, so a text that fails is parsed a second time.
 */
static int parse(const char *text, size_t size, json_t **ret_root, gpualloc_error *error)
{
	static const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
	json_error_t wrong, again;
	json_t *root = json_loadb(text, size, flags, &wrong);

	if (!root)
		root = json_loadb(text, size, flags, &again);
	if (root) {
		*ret_root = root;
		return 0;
	}
	if (wrong.position != again.position || wrong.line < 0 ||
	    json_error_code(&wrong) == json_error_out_of_memory)
		return ga_error_memory(error);
	return ga_error_set(error, GPUALLOC_EDATA, "line %d, column %d: not valid JSON: %s",
			    wrong.line, wrong.column, wrong.text);
}

int ga_machine_file_read(const char *text, size_t size, enum ga_machine_form form,
			 gpualloc_machine **ret_machine, gpualloc_error *error)
{
	struct ga_json_reader reader = {.form = form, .error = error};
	auto_json json_t *root = NULL;
	int result;

	if (size > GA_MACHINE_FILE_MAX || too_many_values(text, size))
		return ga_error_set(error, GPUALLOC_EDATA,
				    "too large for a machine file (%d MiB and %d values at most)",
				    GA_MACHINE_FILE_MAX >> 20, VALUES_MAX);
	result = parse(text, size, &root, error);
	if (result < 0)
		return result;
	return read_document(&reader, root, ret_machine);
}
