/* SPDX-License-Identifier: Apache-2.0 */
/* The table of sources, and how a SPEC finds its own; see source.h. */
#include "source.h"

#include "buffer.h"
#include "cleanup.h"
#include "file.h"
#include "machine_file.h"
#include "nvml/probe.h"
#include "owner.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Live sources first, the better one before the other: the automatic choice follows this order. */
static const struct ga_source *const sources[] = {
	&ga_source_nvml,        &ga_source_nvidia_smi,   &ga_source_builtin,
	&ga_source_topo_matrix, &ga_source_machine_file,
};
enum { SOURCE_COUNT = sizeof sources / sizeof *sources };

/* The i-th word that --machine takes: a live source, or a machine that some source has. */
static const struct ga_source *find_spec(size_t i, size_t *ret_machine)
{
	for (size_t s = 0; s < SOURCE_COUNT; s++) {
		const struct ga_source *source = sources[s];

		if (source->query && i-- == 0) {
			*ret_machine = SIZE_MAX;
			return source;
		}
		for (size_t m = 0; source->machine_name && source->machine_name(m); m++)
			if (i-- == 0) {
				*ret_machine = m;
				return source;
			}
	}
	return NULL;
}

const char *ga_source_spec_name(size_t i)
{
	size_t machine = SIZE_MAX;
	const struct ga_source *source = find_spec(i, &machine);

	return !source ? NULL : machine == SIZE_MAX ? source->name : source->machine_name(machine);
}

const char *ga_source_spec_description(size_t i)
{
	size_t machine = SIZE_MAX;
	const struct ga_source *source = find_spec(i, &machine);

	return !source               ? NULL
	       : machine == SIZE_MAX ? source->description
				     : source->machine_description(machine);
}

bool ga_source_is_live(const char *spec)
{
	if (!spec || !*spec)
		spec = secure_getenv("GPUALLOC_MACHINE");
	if (!spec || !*spec)
		return true;
	for (size_t s = 0; s < SOURCE_COUNT; s++)
		if (sources[s]->query && strcmp(sources[s]->name, spec) == 0)
			return true;
	return false;
}

int ga_source_read(const char *text, size_t size, const char *name, gpualloc_machine **ret_machine,
		   gpualloc_error *error)
{
	for (size_t s = 0; s < SOURCE_COUNT; s++) {
		int result;

		if (!sources[s]->recognises || !sources[s]->recognises(text, size))
			continue;
		result = sources[s]->read(text, size, ret_machine, error);
		return result < 0 && result != GPUALLOC_ENOMEM
			       ? ga_error_prefix(error, result, "%s: ", name)
			       : result;
	}
	return ga_error_set(error, GPUALLOC_EDATA,
			    "%s: line 1: this is neither a machine file (JSON) nor output of "
			    "`nvidia-smi topo -m`, `-q -x` or `-L`",
			    name);
}

/* The file's own name, without folders and its last extension, for a machine that has no name. */
static int name_by_path(gpualloc_machine *machine, const char *path, gpualloc_error *error)
{
	const char *start = strrchr(path, '/'), *end;

	if (machine->name)
		return 0;
	start = start ? start + 1 : path;
	end = strrchr(start, '.');
	if (ga_set_text_sized(&machine->name, start,
			      end && end > start ? (size_t)(end - start) : strlen(start)) < 0)
		return ga_error_memory(error);
	return 0;
}

static int open_file(const char *path, gpualloc_machine **ret_machine, gpualloc_error *error)
{
	ga_auto_buffer struct ga_buffer content = GA_BUFFER_INIT(0);
	ga_auto_machine gpualloc_machine *machine = NULL;
	int result = ga_file_read(path, GA_MACHINE_FILE_MAX, &content, error);

	if (result == 0)
		result = ga_source_read(content.data, content.size, path, &machine, error);
	/* A machine file gives its name or has none: it must read back to the same bytes. */
	if (result == 0 && !ga_source_machine_file.recognises(content.data, content.size))
		result = name_by_path(machine, path, error);
	if (result == 0)
		*ret_machine = ga_steal(&machine);
	return result;
}

static int unknown_spec(const char *spec, gpualloc_error *error)
{
	char known[1024] = "";
	size_t length = 0;
	const char *name;

	for (size_t i = 0; (name = ga_source_spec_name(i)) && length < sizeof known; i++)
		length += (size_t)snprintf(known + length, sizeof known - length, "%s%s",
					   i ? ", " : "", name);
	return ga_error_set(error, GPUALLOC_EUSAGE,
			    "no machine \"%s\": there is no such file, and the known names are "
			    "%s",
			    spec, known);
}

/* Adds a note to the machine that a better source was asked first, and why it did not answer. */
static int note_failed(gpualloc_machine *machine, const struct ga_source *source,
		       const char *reason, gpualloc_error *error)
{
	if (!*reason ||
	    ga_machine_note(machine, "%s was asked instead: %s", source->name, reason) == 0)
		return 0;
	return ga_error_memory(error);
}

static void mark_here(gpualloc_machine *machine, const struct ga_source_request *request)
{
	machine->is_here = true;
	machine->fenced = machine->fenced || ga_nvml_is_fenced(request);
}

/* Tries each in turn. If none answers, says what was tried, why it failed and what to do next. */
static int open_automatically(const struct ga_source_request *request,
			      gpualloc_machine **ret_machine, gpualloc_error *error)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	gpualloc_error tried = {0}, before = {0};
	unsigned remedies = GPUALLOC_REMEDY_OTHER_MACHINE;
	ga_auto_buffer struct ga_buffer reasons = GA_BUFFER_INIT(2 * GA_ERROR_SIZE);

	for (size_t s = 0; s < SOURCE_COUNT; s++) {
		int result;

		if (!sources[s]->query)
			continue;
		before = tried;
		tried.message[0] = '\0';
		result = sources[s]->query(request, &machine, &tried);
		if (result == GPUALLOC_ENOMEM)
			return ga_error_memory(error);
		if (result == 0) {
			mark_here(machine, request);
			result = note_failed(machine, sources[s], before.message, error);
			if (result == 0)
				*ret_machine = ga_steal(&machine);
			return result;
		}
		remedies |= tried.remedies;
		ga_buffer_format(&reasons, "\n  %s", tried.message);
	}
	return ga_error_remedy(error,
			       ga_error_set(error, GPUALLOC_ENOSOURCE, "no GPU found%s",
					    reasons.failed ? "" : reasons.data),
			       remedies);
}

static int ask(const struct ga_source *source, const struct ga_source_request *request,
	       gpualloc_machine **ret_machine, gpualloc_error *error)
{
	int result = source->query(request, ret_machine, error);

	if (result == 0)
		mark_here(*ret_machine, request);
	return result;
}

int ga_source_open(const char *spec, const struct ga_source_request *request,
		   gpualloc_machine **ret_machine, gpualloc_error *error)
{
	const char *name;

	if (!spec)
		return open_automatically(request, ret_machine, error);
	for (size_t i = 0; (name = ga_source_spec_name(i)); i++) {
		size_t machine = SIZE_MAX;
		const struct ga_source *source;

		if (strcmp(name, spec) != 0)
			continue;
		source = find_spec(i, &machine);
		if (machine != SIZE_MAX)
			return source->make(machine, ret_machine, error);
		return ask(source, request, ret_machine, error);
	}
	if (*spec == '\0' || (!strchr(spec, '/') && !ga_file_exists("", spec)))
		return unknown_spec(spec, error);
	return open_file(spec, ret_machine, error);
}

/*
 * Behind the fence one of them has its bit. A copy of the library with a place of its own, as in a
 * wheel, finds that of the distribution or of `make install`.
 */
static const char *probe_path(void)
{
	static const char *const places[] = {GA_PROBE_PATH, "/usr/libexec/gpualloc/gpualloc-probe",
					     "/usr/local/libexec/gpualloc/gpualloc-probe"};

	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (ga_is_set_gid_of_root(places[i]))
			return places[i];
	return places[0];
}

int ga_source_open_here(const char *spec, unsigned deadline_ms, gpualloc_machine **ret_machine,
			gpualloc_error *error)
{
	return ga_source_open_telling(spec, deadline_ms, NULL, NULL, ret_machine, error);
}

int ga_source_open_telling(const char *spec, unsigned deadline_ms,
			   gpualloc_waiting_function *waiting, void *context,
			   gpualloc_machine **ret_machine, gpualloc_error *error)
{
	/* secure_getenv() finds nothing in a set-uid process. */
	struct ga_source_request request = {
		.root = "",
		.nvml_library = secure_getenv("GPUALLOC_NVML"),
		.nvidia_smi = secure_getenv("GPUALLOC_NVIDIA_SMI"),
		.probe = probe_path(),
		.deadline_ms = deadline_ms ? deadline_ms : GPUALLOC_DEADLINE_DEFAULT_MS,
		.waiting = waiting,
		.waiting_context = context,
	};
	const char *chosen = secure_getenv("GPUALLOC_MACHINE");

	if (request.nvml_library && !*request.nvml_library)
		request.nvml_library = NULL;
	if (request.nvidia_smi && !*request.nvidia_smi)
		request.nvidia_smi = NULL;
	if (!spec && chosen && *chosen)
		spec = chosen;
	return ga_source_open(spec, &request, ret_machine, error);
}
