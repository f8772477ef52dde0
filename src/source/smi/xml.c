/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of `nvidia-smi -q -x`, in all its schemas: an element is recognised by its path below
 * <gpu>; others are ignored. The document is hostile: its depth, its texts and its numbers are
 * bounded, it may declare no entity, and its DTD is never fetched.
 */
#include "smi.h"

#include "buffer.h"
#include "cleanup.h"

#include <expat.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	DEPTH_MAX = 32,
	PATH_SIZE = 512,
	TEXT_SIZE = 4096,  /* of one element; longer text is cut */
	LINES_BEFORE = 64, /* that may come before the document */
};

static const char root_name[] = "nvidia_smi_log";
static const char processes_path[] = "processes/process_info/";
static const char instance_path[] = "mig_devices/mig_device/";

/* Where a process runs, until all instances of its GPU are known. */
struct place {
	int64_t gi;
	int64_t ci;
};

struct reader {
	XML_Parser parser;
	gpualloc_machine *part;
	gpualloc_error *error;
	int result;
	bool ended;
	char path[PATH_SIZE]; /* below <gpu>: "utilization/gpu_util" */
	size_t path_length;
	unsigned depth;
	char text[TEXT_SIZE];
	size_t text_size;
	int64_t attached;
	struct gpualloc_device *device; /* the device of this <gpu> */
	struct gpualloc_device *instance;
	struct gpualloc_process *process;
	struct place place;
	struct ga_buffer places; /* one for each process of the device */
};

static void free_reader(struct reader *reader)
{
	ga_buffer_free(&reader->places);
	if (reader->parser)
		XML_ParserFree(reader->parser);
	ga_machine_free(reader->part);
}

static void refuse(struct reader *reader, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void refuse(struct reader *reader, int status, const char *format, ...)
{
	char message[256];
	va_list arguments;

	if (reader->result < 0)
		return;
	va_start(arguments, format);
	(void)vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	reader->result = status;
	(void)ga_error_set(reader->error, status, "line %lu: %s",
			   (unsigned long)XML_GetCurrentLineNumber(reader->parser), message);
	(void)XML_StopParser(reader->parser, XML_FALSE);
}

static void no_memory(struct reader *reader)
{
	reader->result = ga_error_memory(reader->error);
	(void)XML_StopParser(reader->parser, XML_FALSE);
}

/* ---- elements below <gpu> ---- */

static bool path_starts(const struct reader *reader, const char *start)
{
	return ga_text_starts(reader->path, start);
}

static void start_gpu(struct reader *reader, const XML_Char *const *attributes)
{
	char pci[20];

	if (reader->part->device_count == GA_DEVICES_MAX) {
		refuse(reader, GPUALLOC_EDATA, "more than %d GPUs", GA_DEVICES_MAX);
		return;
	}
	reader->device = ga_machine_add_device(reader->part);
	if (!reader->device) {
		no_memory(reader);
		return;
	}
	for (; *attributes; attributes += 2)
		if (strcmp(attributes[0], "id") == 0 &&
		    ga_pci_normalise(attributes[1], strlen(attributes[1]), pci) &&
		    ga_set_text(&reader->device->pci, pci) < 0)
			no_memory(reader);
}

static void start_process(struct reader *reader)
{
	reader->place = (struct place){GA_UNKNOWN, GA_UNKNOWN};
	if (reader->device->process_count == GA_PROCESSES_MAX) {
		refuse(reader, GPUALLOC_EDATA, "more than %d processes", GA_PROCESSES_MAX);
		return;
	}
	reader->process = ga_device_add_process(reader->device);
	if (!reader->process)
		no_memory(reader);
}

static void start_instance(struct reader *reader)
{
	if (reader->device->mig_count == GA_MIG_MAX) {
		refuse(reader, GPUALLOC_EDATA, "more than %d MIG devices", GA_MIG_MAX);
		return;
	}
	reader->instance = ga_device_add_mig(reader->device);
	if (!reader->instance)
		no_memory(reader);
}

static void take_number(int64_t *field, struct ga_view value, int64_t most)
{
	(void)ga_text_number(value.text, value.size, most, field);
}

/* Paths lose their folders, and then their arguments too; other titles stay as they are. */
static int take_process_name(struct gpualloc_process *process, struct ga_view name)
{
	const char *blank = memchr(name.text, ' ', name.size);
	size_t first = blank ? (size_t)(blank - name.text) : name.size;
	bool windows = name.size > 2 && name.text[1] == ':' && name.text[2] == '\\';
	const char *slash;

	if (windows)
		slash = memrchr(name.text, '\\', name.size);
	else
		slash = memrchr(name.text, '/', first);
	if (slash) {
		const char *end = name.text + (windows ? name.size : first);

		name = (struct ga_view){slash + 1, (size_t)(end - slash - 1)};
	}
	return ga_set_text_sized(&process->name, name.text, name.size);
}

/* Unknown or new types count as computing, so that the GPU is not taken for free. */
static enum ga_process_type type_of(struct ga_view value)
{
	bool computes = memchr(value.text, 'C', value.size) != NULL;
	bool draws = memchr(value.text, 'G', value.size) != NULL;

	if (memchr(value.text, 'M', value.size))
		return GA_PROCESS_MPS_COMPUTE;
	return draws && computes ? GA_PROCESS_COMPUTE_GRAPHICS
	       : draws           ? GA_PROCESS_GRAPHICS
				 : GA_PROCESS_COMPUTE;
}

static int take_of_process(struct reader *reader, const char *name, struct ga_view value)
{
	struct gpualloc_process *process = reader->process;

	if (ga_smi_word(value) != GA_SMI_VALUE)
		return 0;
	if (strcmp(name, "pid") == 0)
		take_number(&process->pid, value, INT32_MAX);
	else if (strcmp(name, "type") == 0)
		process->type = type_of(value);
	else if (strcmp(name, "used_memory") == 0)
		(void)ga_smi_bytes(value, &process->memory);
	else if (strcmp(name, "gpu_instance_id") == 0)
		take_number(&reader->place.gi, value, INT16_MAX);
	else if (strcmp(name, "compute_instance_id") == 0)
		take_number(&reader->place.ci, value, INT16_MAX);
	else if (strcmp(name, "process_name") == 0)
		return take_process_name(process, value);
	return 0;
}

static int take_of_instance(struct gpualloc_device *instance, const char *name,
			    struct ga_view value)
{
	if (ga_smi_word(value) != GA_SMI_VALUE)
		return 0;
	if (strcmp(name, "index") == 0)
		take_number(&instance->index, value, INT16_MAX);
	else if (strcmp(name, "gpu_instance_id") == 0)
		take_number(&instance->gi, value, INT16_MAX);
	else if (strcmp(name, "compute_instance_id") == 0)
		take_number(&instance->ci, value, INT16_MAX);
	else if (strcmp(name, "fb_memory_usage/total") == 0)
		(void)ga_smi_bytes(value, &instance->memory.total);
	else if (strcmp(name, "fb_memory_usage/reserved") == 0)
		(void)ga_smi_bytes(value, &instance->memory.reserved);
	else if (strcmp(name, "fb_memory_usage/used") == 0)
		(void)ga_smi_bytes(value, &instance->memory.used);
	return 0;
}

/* Text directly inside <processes> means that the list could not be read. */
static void end_processes(struct reader *reader, struct ga_view value)
{
	reader->device->processes_known =
		value.size == 0 || ga_text_equal(value.text, value.size, "None");
}

static int take_element(struct reader *reader, struct ga_view value)
{
	if (path_starts(reader, processes_path))
		return reader->process
			       ? take_of_process(reader, reader->path + sizeof processes_path - 1,
						 value)
			       : 0;
	if (path_starts(reader, instance_path))
		return reader->instance
			       ? take_of_instance(reader->instance,
						  reader->path + sizeof instance_path - 1, value)
			       : 0;
	if (strcmp(reader->path, "processes") == 0)
		end_processes(reader, value);
	/* Other lists of processes and sessions contain words that any user may choose. */
	if (strstr(reader->path, "process") || strstr(reader->path, "session"))
		return 0;
	return ga_smi_take(ga_smi_field_by_path(reader->path), reader->device, value);
}

/* ---- the end of a GPU: every process to the instance it runs on ---- */

static struct gpualloc_device *instance_at(struct gpualloc_device *device, struct place place)
{
	for (size_t i = 0; place.gi >= 0 && i < device->mig_count; i++)
		if (device->mig[i].gi == place.gi &&
		    (place.ci < 0 || device->mig[i].ci == place.ci))
			return &device->mig[i];
	return NULL;
}

static bool move_process(struct gpualloc_device *to, const struct gpualloc_process *process)
{
	struct gpualloc_process *moved = ga_device_add_process(to);

	if (moved)
		*moved = *process;
	return moved != NULL;
}

/*
 * A process without a pid cannot be shown, so its device's list is not complete. A process on an
 * unknown instance may be on any of them.
 */
static void place_processes(struct reader *reader)
{
	struct gpualloc_device *device = reader->device;
	bool lists_known = device->processes_known, elsewhere = false;
	size_t kept = 0;

	for (size_t i = 0; i < device->process_count; i++) {
		struct gpualloc_process process = device->processes[i];
		struct gpualloc_device *instance;
		struct place place;

		memcpy(&place, reader->places.data + i * sizeof place, sizeof place);
		instance = instance_at(device, place);
		if (process.pid < 0) {
			device->processes_known = false;
			elsewhere = true;
			free(process.name);
		} else if (!instance || !move_process(instance, &process)) {
			elsewhere = elsewhere || ga_process_computes(&process);
			device->processes[kept++] = process;
		}
	}
	device->process_count = kept;
	for (size_t i = 0; i < device->mig_count; i++)
		device->mig[i].processes_known = lists_known && !elsewhere;
}

static void end_process(struct reader *reader)
{
	ga_buffer_append(&reader->places, &reader->place, sizeof reader->place);
	if (reader->places.failed)
		no_memory(reader);
	reader->process = NULL;
}

static void end_gpu(struct reader *reader)
{
	/* A GPU with instances is in MIG mode, whatever else the log says. */
	if (reader->device->mig_count > 0)
		reader->device->mig_enabled = true;
	place_processes(reader);
	ga_buffer_free(&reader->places);
	reader->device = NULL;
}

/* ---- called by expat ---- */

static bool push(struct reader *reader, const char *name)
{
	size_t length = strlen(name), from = reader->path_length;

	if (from > 0)
		reader->path[from++] = '/';
	if (length >= PATH_SIZE - 1 - from) {
		refuse(reader, GPUALLOC_EDATA, "element names that are too long");
		return false;
	}
	memcpy(reader->path + from, name, length + 1);
	reader->path_length = from + length;
	return true;
}

static void pop(struct reader *reader)
{
	const char *slash = memrchr(reader->path, '/', reader->path_length);

	reader->path_length = slash ? (size_t)(slash - reader->path) : 0;
	reader->path[reader->path_length] = '\0';
}

static void XMLCALL start_element(void *context, const XML_Char *name, const XML_Char **attributes)
{
	struct reader *reader = context;

	reader->text_size = 0;
	if (++reader->depth > DEPTH_MAX)
		refuse(reader, GPUALLOC_EDATA, "elements nested more than %d deep", DEPTH_MAX);
	else if (reader->depth == 1 && strcmp(name, root_name) != 0)
		refuse(reader, GPUALLOC_EDATA, "the document is <%.64s>, not <%s>", name,
		       root_name);
	else if (reader->depth == 2 && strcmp(name, "gpu") == 0)
		start_gpu(reader, attributes);
	else if (reader->depth > 2 && push(reader, name) && reader->device) {
		if (strcmp(reader->path, "processes/process_info") == 0)
			start_process(reader);
		else if (strcmp(reader->path, "mig_devices/mig_device") == 0)
			start_instance(reader);
	}
}

static void end_of_log_element(struct reader *reader, const char *name, struct ga_view value)
{
	if (reader->device)
		end_gpu(reader);
	else if (strcmp(name, "driver_version") == 0 && ga_smi_word(value) == GA_SMI_VALUE &&
		 ga_set_text_sized(&reader->part->driver, value.text, value.size) < 0)
		no_memory(reader);
	else if (strcmp(name, "attached_gpus") == 0)
		take_number(&reader->attached, value, INT32_MAX);
}

static void end_of_gpu_element(struct reader *reader, struct ga_view value)
{
	if (take_element(reader, value) < 0) {
		no_memory(reader);
		return;
	}
	if (strcmp(reader->path, "processes/process_info") == 0 && reader->process)
		end_process(reader);
	else if (strcmp(reader->path, "mig_devices/mig_device") == 0)
		reader->instance = NULL;
}

static void XMLCALL end_element(void *context, const XML_Char *name)
{
	struct reader *reader = context;
	struct ga_view value = ga_view_trim(reader->text, reader->text_size);

	if (reader->result < 0)
		return;
	if (reader->depth > 2 && reader->device)
		end_of_gpu_element(reader, value);
	if (reader->depth > 2)
		pop(reader);
	else if (reader->depth == 2)
		end_of_log_element(reader, name, value);
	reader->text_size = 0;
	if (--reader->depth == 0) {
		reader->ended = true;
		(void)XML_StopParser(reader->parser, XML_FALSE);
	}
}

static void XMLCALL characters(void *context, const XML_Char *text, int length)
{
	struct reader *reader = context;
	size_t room = TEXT_SIZE - reader->text_size;
	size_t size = (size_t)length < room ? (size_t)length : room;

	memcpy(reader->text + reader->text_size, text, size);
	reader->text_size += size;
}

static void XMLCALL entity(void *context, const XML_Char *name, int is_parameter,
			   const XML_Char *value, int length, const XML_Char *base,
			   const XML_Char *system_id, const XML_Char *public_id,
			   const XML_Char *notation)
{
	struct reader *reader = context;

	(void)is_parameter, (void)value, (void)length, (void)base;
	(void)system_id, (void)public_id, (void)notation;
	refuse(reader, GPUALLOC_EDATA, "it declares the entity %.64s, which nvidia-smi never does",
	       name);
}

/* ---- the whole document ---- */

/* Whether a line begins the log; on the first line, whether it is XML at all. */
static bool begins_document(struct ga_view line, bool is_first)
{
	static const char *const starts[] = {"<?xml", "<!DOCTYPE", "<nvidia_smi_log"};

	if (is_first && line.size > 0 && *line.text == '<')
		return true;
	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
		if (line.size >= strlen(starts[i]) &&
		    memcmp(line.text, starts[i], strlen(starts[i])) == 0)
			return true;
	return false;
}

/* Where the log begins; somebody may have copied a prompt or a warning with it. */
static struct ga_view find_document(const char *text, size_t size)
{
	bool marked = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0;
	struct ga_view rest = {text + (marked ? 3 : 0), size - (marked ? 3 : 0)}, line;
	bool is_first = true;

	for (unsigned lines = 0; lines < LINES_BEFORE; lines++) {
		const char *end = rest.text + rest.size;

		if (!ga_view_line(&rest, &line))
			break;
		line = ga_view_trim(line.text, line.size);
		if (begins_document(line, is_first))
			return (struct ga_view){line.text, (size_t)(end - line.text)};
		is_first = is_first && line.size == 0;
	}
	return (struct ga_view){text, 0};
}

bool ga_smi_xml_recognises(const char *text, size_t size)
{
	return find_document(text, size).size > 0;
}

/*
 * A copy that expat accepts: users who name a process choose bytes of this document, and may choose
 * some that are not XML.
 */
static int mend(struct ga_view document, struct ga_buffer *mended, gpualloc_error *error)
{
	for (size_t i = 0; i < document.size;) {
		size_t length = ga_text_character(document.text + i, document.size - i);
		char c = document.text[i];

		if (length == 0 && c != '\n' && c != '\t' && c != '\r')
			ga_buffer_char(mended, '?');
		else
			ga_buffer_append(mended, document.text + i, length > 0 ? length : 1);
		i += length > 0 ? length : 1;
	}
	return mended->failed ? ga_error_memory(error) : 0;
}

static int parse(struct reader *reader, const char *text, size_t size)
{
	static const size_t chunk = 1 << 20;
	enum XML_Status status = XML_STATUS_OK;

	for (size_t at = 0; status == XML_STATUS_OK && at < size; at += chunk) {
		size_t length = size - at < chunk ? size - at : chunk;

		status = XML_Parse(reader->parser, text + at, (int)length, at + length == size);
	}
	if (reader->result < 0 || reader->ended)
		return reader->result;
	if (XML_GetErrorCode(reader->parser) == XML_ERROR_NO_MEMORY)
		return ga_error_memory(reader->error);
	return ga_error_set(reader->error, GPUALLOC_EDATA, "line %lu: %s",
			    (unsigned long)XML_GetCurrentLineNumber(reader->parser),
			    XML_ErrorString(XML_GetErrorCode(reader->parser)));
}

static int prepare(struct reader *reader)
{
	int result = ga_machine_new(0, &reader->part, reader->error);

	if (result < 0)
		return result;
	reader->parser = XML_ParserCreate("UTF-8");
	if (!reader->parser)
		return ga_error_memory(reader->error);
	XML_SetUserData(reader->parser, reader);
	XML_SetElementHandler(reader->parser, start_element, end_element);
	XML_SetCharacterDataHandler(reader->parser, characters);
	XML_SetEntityDeclHandler(reader->parser, entity);
	return 0;
}

/* People may have cut the log down; then a note says at least what is missing. */
static int finish(struct reader *reader)
{
	size_t found = reader->part->device_count;

	if (reader->attached > (int64_t)found &&
	    ga_machine_note(reader->part, "%lld GPUs are attached, but the log describes %zu",
			    (long long)reader->attached, found) < 0)
		return ga_error_memory(reader->error);
	return 0;
}

int ga_smi_xml_read(const char *text, size_t size, gpualloc_machine **ret_part,
		    gpualloc_error *error)
{
	ga_cleanup(free_reader) struct reader reader = {
		.error = error,
		.attached = GA_UNKNOWN,
		.places = GA_BUFFER_INIT(GA_PROCESSES_MAX * sizeof(struct place)),
	};
	struct ga_view document = find_document(text, size);
	ga_auto_buffer struct ga_buffer mended = GA_BUFFER_INIT(document.size);
	int result;

	if (document.size == 0)
		return ga_error_set(error, GPUALLOC_EDATA, "line 1: this is not XML");
	result = mend(document, &mended, error);
	if (result == 0)
		result = prepare(&reader);
	if (result == 0)
		result = parse(&reader, mended.data, mended.size);
	if (result == 0)
		result = ga_smi_lost_read(text, (size_t)(document.text - text), reader.part) < 0
				 ? ga_error_memory(error)
				 : finish(&reader);
	if (result == 0)
		*ret_part = ga_steal(&reader.part);
	return result;
}
