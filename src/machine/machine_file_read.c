/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the machine file. Every byte is hostile until here: types, ranges and shapes are checked
 * field by field, and a refusal names the field. Unknown keys are ignored.
 */
#include "cleanup.h"
#include "machine_file.h"
#include "text.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	VALUES_MAX = 9 << 20, /* of JSON: 2,000 devices have two matrices of 4 million cells */
	PATH_SIZE = 160,
	LINKS_VERSION_MAX = 64,
};
static const int64_t bytes_max = INT64_C(1) << 56;

static void json_cleanup(json_t **json)
{
	json_decref(*json);
}
#define auto_json ga_cleanup(json_cleanup)

struct reader {
	enum ga_machine_form form;
	gpualloc_error *error;
};

/* Where in the document: "devices[3]." before the key. */
struct path {
	char text[PATH_SIZE];
};

static struct path path_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
static struct path path_of(const char *format, ...)
{
	struct path path;
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(path.text, sizeof path.text, format, arguments);
	va_end(arguments);
	return path;
}

static const char *type_name(const json_t *json)
{
	switch (json_typeof(json)) {
	case JSON_OBJECT: return "an object";
	case JSON_ARRAY: return "a list";
	case JSON_STRING: return "a text";
	case JSON_INTEGER: return "a whole number";
	case JSON_REAL: return "a number with a fraction";
	case JSON_TRUE:
	case JSON_FALSE: return "true or false";
	case JSON_NULL: return "null";
	}
	return "something else";
}

static int wrong_type(struct reader *reader, const char *path, const char *key,
		      const char *expected, const json_t *found)
{
	return ga_error_set(reader->error, GPUALLOC_EDATA, "%s%s: expected %s, found %s", path, key,
			    expected, type_name(found));
}

static int read_text(struct reader *reader, const json_t *object, const char *path, const char *key,
		     char **ret_text)
{
	const json_t *json = json_object_get(object, key);

	if (!json)
		return 0;
	if (!json_is_string(json))
		return wrong_type(reader, path, key, "a text", json);
	if (json_string_length(json) > GA_TEXT_MAX)
		return ga_error_set(reader->error, GPUALLOC_EDATA, "%s%s: longer than %d bytes",
				    path, key, GA_TEXT_MAX);
	if (ga_set_text_sized(ret_text, json_string_value(json), json_string_length(json)) < 0)
		return ga_error_memory(reader->error);
	return 0;
}

static int read_number(struct reader *reader, const json_t *object, const char *path,
		       const char *key, int64_t least, int64_t most, int64_t *ret_number)
{
	const json_t *json = json_object_get(object, key);
	int64_t number;

	if (!json)
		return 0;
	if (!json_is_integer(json))
		return wrong_type(reader, path, key, "a whole number", json);
	number = json_integer_value(json);
	if (number < least || number > most)
		return ga_error_set(reader->error, GPUALLOC_EDATA,
				    "%s%s: %lld is out of range (%lld to %lld)", path, key,
				    (long long)number, (long long)least, (long long)most);
	*ret_number = number;
	return 0;
}

static int read_bool(struct reader *reader, const json_t *object, const char *path, const char *key,
		     bool *ret_value, bool *ret_found)
{
	const json_t *json = json_object_get(object, key);

	*ret_found = json != NULL;
	if (!json)
		return 0;
	if (!json_is_boolean(json))
		return wrong_type(reader, path, key, "true or false", json);
	*ret_value = json_is_true(json);
	return 0;
}

static int unknown_word(struct reader *reader, const char *path, const char *key, const char *word,
			const char *known)
{
	return ga_error_set(reader->error, GPUALLOC_EDATA, "%s%s: \"%s\" is none of %s", path, key,
			    word, known);
}

/* A list of at most most entries; *ret_list is NULL where the key is absent. */
static int read_list(struct reader *reader, const json_t *object, const char *path, const char *key,
		     size_t most, const json_t **ret_list)
{
	const json_t *json = json_object_get(object, key);

	*ret_list = json;
	if (!json)
		return 0;
	if (!json_is_array(json))
		return wrong_type(reader, path, key, "a list", json);
	if (json_array_size(json) > most)
		return ga_error_set(reader->error, GPUALLOC_EDATA,
				    "%s%s: %zu entries, more than %zu", path, key,
				    json_array_size(json), most);
	return 0;
}

static int read_memory(struct reader *reader, const json_t *object, const char *path,
		       struct ga_memory *memory)
{
	const json_t *json = json_object_get(object, "memory");
	struct path inner = path_of("%smemory.", path);
	int result;

	if (!json)
		return 0;
	if (!json_is_object(json))
		return wrong_type(reader, path, "memory", "an object", json);
	result = read_number(reader, json, inner.text, "total", 0, bytes_max, &memory->total);
	if (result == 0)
		result = read_number(reader, json, inner.text, "reserved", 0, bytes_max,
				     &memory->reserved);
	if (result == 0)
		result = read_number(reader, json, inner.text, "used", 0, bytes_max, &memory->used);
	return result;
}

static int read_process(struct reader *reader, const json_t *json, const char *path,
			struct gpualloc_device *device)
{
	struct gpualloc_process *process = ga_device_add_process(device);
	ga_auto_free char *type = NULL;
	int result;

	if (!process)
		return ga_error_memory(reader->error);
	result = read_number(reader, json, path, "pid", 0, INT32_MAX, &process->pid);
	if (result == 0 && process->pid < 0)
		result = ga_error_set(reader->error, GPUALLOC_EDATA, "%spid: is required", path);
	if (result == 0)
		result = read_text(reader, json, path, "type", &type);
	if (result == 0 && type && !ga_process_type_find(type, &process->type))
		result = unknown_word(reader, path, "type", type, "C, G, C+G, M+C");
	if (result == 0)
		result = read_number(reader, json, path, "memory", 0, bytes_max, &process->memory);
	if (result == 0)
		result = read_text(reader, json, path, "user", &process->user);
	if (result == 0)
		result = read_text(reader, json, path, "name", &process->name);
	return result;
}

static int read_processes(struct reader *reader, const json_t *object, const char *path,
			  struct gpualloc_device *device)
{
	const json_t *list, *json;
	size_t i;
	int result = read_list(reader, object, path, "processes", GA_PROCESSES_MAX, &list);

	if (result < 0 || !list)
		return result;
	device->processes_known = true;
	json_array_foreach(list, i, json)
	{
		struct path inner = path_of("%sprocesses[%zu].", path, i);

		if (!json_is_object(json))
			return wrong_type(reader, path_of("%sprocesses[%zu]", path, i).text, "",
					  "an object", json);
		result = read_process(reader, json, inner.text, device);
		if (result < 0)
			return result;
	}
	return 0;
}

static int read_complete(struct reader *reader, const json_t *object, const char *path,
			 struct gpualloc_device *device)
{
	bool found;
	int result;

	if (reader->form != GA_FORM_COMPLETE)
		return 0;
	result = read_text(reader, object, path, "reason", &device->reason);
	if (result == 0)
		result = read_bool(reader, object, path, "processes_hidden",
				   &device->processes_hidden, &found);
	return result;
}

static int read_instance(struct reader *reader, const json_t *json, const char *path,
			 struct gpualloc_device *instance)
{
	int result = read_text(reader, json, path, "uuid", &instance->uuid);

	if (result == 0)
		result = read_text(reader, json, path, "profile", &instance->profile);
	if (result == 0)
		result = read_number(reader, json, path, "gi", 0, INT16_MAX, &instance->gi);
	if (result == 0)
		result = read_number(reader, json, path, "ci", 0, INT16_MAX, &instance->ci);
	if (result == 0)
		result = read_memory(reader, json, path, &instance->memory);
	if (result == 0)
		result = read_complete(reader, json, path, instance);
	if (result == 0)
		result = read_processes(reader, json, path, instance);
	return result;
}

static int read_mig(struct reader *reader, const json_t *object, const char *path,
		    struct gpualloc_device *device)
{
	const json_t *list, *json;
	size_t i;
	int result = read_list(reader, object, path, "mig", GA_MIG_MAX, &list);

	if (result < 0 || !list)
		return result;
	device->mig_enabled = true;
	json_array_foreach(list, i, json)
	{
		struct gpualloc_device *instance = ga_device_add_mig(device);

		if (!instance)
			return ga_error_memory(reader->error);
		if (!json_is_object(json))
			return wrong_type(reader, path_of("%smig[%zu]", path, i).text, "",
					  "an object", json);
		result =
			read_instance(reader, json, path_of("%smig[%zu].", path, i).text, instance);
		if (result < 0)
			return result;
	}
	return 0;
}

static int read_words(struct reader *reader, const json_t *json, const char *path,
		      struct gpualloc_device *device)
{
	ga_auto_free char *mode = NULL, *health = NULL;
	bool display = false, found = false;
	int result = read_text(reader, json, path, "compute_mode", &mode);

	if (result == 0 && mode && !ga_compute_mode_find(mode, &device->compute_mode))
		result = unknown_word(reader, path, "compute_mode", mode,
				      "default, exclusive-thread, prohibited, exclusive-process");
	if (result == 0)
		result = read_text(reader, json, path, "health", &health);
	if (result == 0 && health && !ga_health_find(health, &device->health))
		result = unknown_word(reader, path, "health", health,
				      "ok, lost, needs-reset, row-remap-failed, retired-pending");
	if (result == 0)
		result = read_bool(reader, json, path, "display", &display, &found);
	if (found)
		device->display = display;
	return result;
}

static int read_pci(struct reader *reader, const json_t *json, const char *path,
		    struct gpualloc_device *device)
{
	char pci[20];
	int result = read_text(reader, json, path, "pci", &device->pci);

	if (result == 0 && device->pci && ga_pci_normalise(device->pci, strlen(device->pci), pci) &&
	    ga_set_text(&device->pci, pci) < 0)
		return ga_error_memory(reader->error);
	return result;
}

static int read_device(struct reader *reader, const json_t *json, const char *path,
		       struct gpualloc_device *device)
{
	int result = read_text(reader, json, path, "uuid", &device->uuid);

	if (result == 0)
		result = read_text(reader, json, path, "serial", &device->serial);
	if (result == 0)
		result = read_text(reader, json, path, "name", &device->name);
	if (result == 0)
		result = read_pci(reader, json, path, device);
	if (result == 0)
		result = read_number(reader, json, path, "minor", 0, INT32_MAX, &device->minor);
	if (result == 0)
		result = read_number(reader, json, path, "numa", 0, INT16_MAX, &device->numa);
	if (result == 0)
		result = read_text(reader, json, path, "cpus", &device->cpus);
	if (result == 0)
		result = read_number(reader, json, path, "nvlink_version", 0, LINKS_VERSION_MAX,
				     &device->nvlink_version);
	if (result == 0)
		result = read_memory(reader, json, path, &device->memory);
	if (result == 0)
		result = read_number(reader, json, path, "utilization", 0, 100,
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

/* ---- devices may stand in any order; the machine has them in order of index ---- */

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

static int read_order(struct reader *reader, const json_t *list, struct order *order)
{
	const json_t *json;
	size_t i;

	json_array_foreach(list, i, json)
	{
		struct path path = path_of("devices[%zu].", i);
		int result;

		if (!json_is_object(json))
			return wrong_type(reader, path_of("devices[%zu]", i).text, "", "an object",
					  json);
		order[i] = (struct order){GA_UNKNOWN, i};
		result = read_number(reader, json, path.text, "index", 0, INT32_MAX,
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
				"devices[%zu].index: %lld again, it is devices[%zu] already",
				order[i].position, (long long)order[i].index,
				order[i - 1].position);
	return 0;
}

static int read_devices(struct reader *reader, const json_t *root, gpualloc_machine **ret_machine)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	ga_auto_free struct order *order = NULL;
	const json_t *list;
	int result = read_list(reader, root, "", "devices", GA_DEVICES_MAX, &list);

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
				     path_of("devices[%zu].", position).text, &machine->devices[i]);
	}
	if (result == 0)
		*ret_machine = ga_steal(&machine);
	return result;
}

/* ---- matrices ---- */

/* Checks the shape and returns row i of a matrix, NULL with an error where it is none. */
static const json_t *matrix_row(struct reader *reader, const json_t *matrix, const char *key,
				size_t i, size_t count)
{
	const json_t *row = json_array_get(matrix, i);

	if (!json_is_array(row)) {
		(void)wrong_type(reader, path_of("%s[%zu]", key, i).text, "", "a list", row);
		return NULL;
	}
	if (json_array_size(row) != count) {
		(void)ga_error_set(reader->error, GPUALLOC_EDATA,
				   "%s[%zu]: %zu entries for %zu devices", key, i,
				   json_array_size(row), count);
		return NULL;
	}
	return row;
}

static int read_matrix(struct reader *reader, const json_t *root, const char *key, size_t count,
		       const json_t **ret_matrix)
{
	int result = read_list(reader, root, "", key, SIZE_MAX, ret_matrix);

	if (result == 0 && *ret_matrix && json_array_size(*ret_matrix) != count)
		result = ga_error_set(reader->error, GPUALLOC_EDATA, "%s: %zu rows for %zu devices",
				      key, json_array_size(*ret_matrix), count);
	return result;
}

static int level_cell(struct reader *reader, const json_t *json, size_t i, size_t j,
		      enum gpualloc_level *ret_level)
{
	const char *word = json_string_value(json);
	size_t size = json_string_length(json);

	*ret_level = GPUALLOC_LEVEL_UNKNOWN;
	if (json_is_null(json))
		return 0;
	if (!json_is_string(json))
		return wrong_type(reader, path_of("pcie[%zu][%zu]", i, j).text, "",
				  "a text or null", json);
	if (ga_text_equal(word, size, "X"))
		*ret_level = GPUALLOC_LEVEL_SELF;
	else if (!ga_level_find(word, size, ret_level))
		return unknown_word(reader, path_of("pcie[%zu][%zu]", i, j).text, "", word,
				    "X, BOARD, PIX, PXB, PHB, NODE, SYS");
	if ((*ret_level == GPUALLOC_LEVEL_SELF) != (i == j))
		return ga_error_set(reader->error, GPUALLOC_EDATA,
				    i == j ? "pcie[%zu][%zu]: \"%s\" where \"X\" belongs"
					   : "pcie[%zu][%zu]: \"%s\" off the diagonal",
				    i, j, word);
	return 0;
}

static int not_symmetric(struct reader *reader, const char *key, size_t i, size_t j)
{
	return ga_error_set(reader->error, GPUALLOC_EDATA,
			    "%s[%zu][%zu]: differs from %s[%zu][%zu], a link has two equal ends",
			    key, i, j, key, j, i);
}

static int read_levels(struct reader *reader, const json_t *root, struct ga_links *links)
{
	const json_t *matrix;
	int result = read_matrix(reader, root, "pcie", links->count, &matrix);

	if (result < 0)
		return result;
	if (!matrix)
		return ga_error_set(reader->error, GPUALLOC_EDATA, "pcie: is required");
	for (size_t i = 0; i < links->count; i++) {
		const json_t *row = matrix_row(reader, matrix, "pcie", i, links->count);

		if (!row)
			return GPUALLOC_EDATA;
		for (size_t j = 0; j < links->count; j++) {
			enum gpualloc_level level;

			result = level_cell(reader, json_array_get(row, j), i, j, &level);
			if (result < 0)
				return result;
			if (i < j)
				ga_links_set_level(links, i, j, level);
			else if (i > j && ga_links_level(links, i, j) != level)
				return not_symmetric(reader, "pcie", i, j);
		}
	}
	return 0;
}

static int nvlink_cell(struct reader *reader, const json_t *json, size_t i, size_t j,
		       int *ret_nvlinks)
{
	int64_t number = json_integer_value(json);

	*ret_nvlinks = GA_UNKNOWN;
	if (json_is_null(json))
		return 0;
	if (!json_is_integer(json))
		return wrong_type(reader, path_of("nvlink[%zu][%zu]", i, j).text, "",
				  "a whole number or null", json);
	if (number < 0 || number > GA_NVLINKS_MAX || (i == j && number != 0))
		return ga_error_set(reader->error, GPUALLOC_EDATA,
				    "nvlink[%zu][%zu]: %lld is out of range (0 to %d)", i, j,
				    (long long)number, i == j ? 0 : GA_NVLINKS_MAX);
	*ret_nvlinks = (int)number;
	return 0;
}

static int read_nvlinks(struct reader *reader, const json_t *root, struct ga_links *links)
{
	const json_t *matrix;
	int result = read_matrix(reader, root, "nvlink", links->count, &matrix);

	if (result < 0 || !matrix)
		return result;
	for (size_t i = 0; i < links->count; i++) {
		const json_t *row = matrix_row(reader, matrix, "nvlink", i, links->count);

		if (!row)
			return GPUALLOC_EDATA;
		for (size_t j = 0; j < links->count; j++) {
			int nvlinks;

			result = nvlink_cell(reader, json_array_get(row, j), i, j, &nvlinks);
			if (result < 0)
				return result;
			if (i < j)
				ga_links_set_nvlinks(links, i, j, nvlinks);
			else if (i > j && ga_links_nvlinks(links, i, j) != nvlinks)
				return not_symmetric(reader, "nvlink", i, j);
		}
	}
	return 0;
}

static int read_inferred(struct reader *reader, const json_t *root, struct ga_links *links)
{
	const json_t *list, *pair;
	size_t i;
	int result = read_list(reader, root, "", "inferred", SIZE_MAX, &list);

	if (result < 0 || !list)
		return result;
	json_array_foreach(list, i, pair)
	{
		const json_t *one = json_array_get(pair, 0), *other = json_array_get(pair, 1);
		int64_t a = json_integer_value(one), b = json_integer_value(other);

		if (json_array_size(pair) != 2 || !json_is_integer(one) || !json_is_integer(other))
			return ga_error_set(reader->error, GPUALLOC_EDATA,
					    "inferred[%zu]: expected two whole numbers", i);
		if (a < 0 || b < 0 || (size_t)a >= links->count || (size_t)b >= links->count ||
		    a == b)
			return ga_error_set(
				reader->error, GPUALLOC_EDATA,
				"inferred[%zu]: %lld and %lld are no pair of %zu devices", i,
				(long long)a, (long long)b, links->count);
		ga_links_set_inferred(links, (size_t)a, (size_t)b, true);
	}
	return 0;
}

/* ---- the document ---- */

static int read_cpu(struct reader *reader, const json_t *root, gpualloc_machine *machine)
{
	const json_t *json = json_object_get(root, "cpu");
	int result;

	if (!json)
		return 0;
	if (!json_is_object(json))
		return wrong_type(reader, "", "cpu", "an object", json);
	result = read_number(reader, json, "cpu.", "sockets", 1, 4096, &machine->sockets);
	if (result == 0)
		result = read_number(reader, json, "cpu.", "cores_per_socket", 1, 65536,
				     &machine->cores_per_socket);
	if (result == 0)
		result = read_number(reader, json, "cpu.", "threads_per_core", 1, 64,
				     &machine->threads_per_core);
	return result;
}

static int read_notes(struct reader *reader, const json_t *root, gpualloc_machine *machine)
{
	const json_t *list, *json;
	size_t i;
	int result;

	if (reader->form != GA_FORM_COMPLETE)
		return 0;
	result = read_list(reader, root, "", "notes", GA_DEVICES_MAX, &list);
	if (result < 0 || !list)
		return result;
	json_array_foreach(list, i,
			   json) if (json_is_string(json) &&
				     ga_machine_note(machine, "%s", json_string_value(json)) <
					     0) return ga_error_memory(reader->error);
	return 0;
}

static int read_document(struct reader *reader, const json_t *root, gpualloc_machine **ret_machine)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	int64_t version = GA_UNKNOWN;
	int result;

	if (!json_is_object(root))
		return wrong_type(reader, "", "the document", "an object", root);
	result = read_number(reader, root, "", "gpualloc_machine", 1, 1, &version);
	if (result == 0 && version < 0)
		result = ga_error_set(reader->error, GPUALLOC_EDATA,
				      "gpualloc_machine: is required, this is no machine file");
	if (result == 0)
		result = read_devices(reader, root, &machine);
	if (result == 0)
		result = read_text(reader, root, "", "name", &machine->name);
	if (result == 0)
		result = read_text(reader, root, "", "source", &machine->source);
	if (result == 0)
		result = read_text(reader, root, "", "driver", &machine->driver);
	if (result == 0)
		result = read_cpu(reader, root, machine);
	if (result == 0)
		result = read_notes(reader, root, machine);
	if (result == 0)
		result = read_levels(reader, root, &machine->links);
	if (result == 0)
		result = read_nvlinks(reader, root, &machine->links);
	if (result == 0)
		result = read_inferred(reader, root, &machine->links);
	if (result == 0)
		result = ga_machine_finish(machine, reader->error);
	if (result == 0)
		*ret_machine = ga_steal(&machine);
	return result;
}

/* Every value but the first of a list or object comes behind a comma or opens something. */
static bool too_many_values(const char *text, size_t size)
{
	size_t values = 0;

	for (size_t i = 0; i < size; i++)
		values += text[i] == ',' || text[i] == '[' || text[i] == '{';
	return values > VALUES_MAX;
}

int ga_machine_file_read(const char *text, size_t size, enum ga_machine_form form,
			 gpualloc_machine **ret_machine, gpualloc_error *error)
{
	struct reader reader = {.form = form, .error = error};
	auto_json json_t *root = NULL;
	json_error_t wrong;

	if (size > GA_MACHINE_FILE_MAX || too_many_values(text, size))
		return ga_error_set(error, GPUALLOC_EDATA,
				    "too large for a machine file (%d MiB and %d values at most)",
				    GA_MACHINE_FILE_MAX >> 20, VALUES_MAX);
	root = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &wrong);
	/* Without memory for the error itself there is not even a line. */
	if (!root && (json_error_code(&wrong) == json_error_out_of_memory || wrong.line < 0))
		return ga_error_memory(error);
	if (!root)
		return ga_error_set(error, GPUALLOC_EDATA, "line %d, column %d: no JSON: %s",
				    wrong.line, wrong.column, wrong.text);
	return read_document(&reader, root, ret_machine);
}
