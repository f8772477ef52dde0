/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVML as a source. A sick driver hangs in the kernel for ever and takes who asks it along, so a
 * child asks and its parent waits until a deadline; the library is never loaded into the program
 * that uses us. What the child says, on its standard output: lines "@N" before it asks GPU N, then
 * the machine as a complete machine file, or "!STATUS SENTENCE". Whatever else comes is refused.
 */
#include "source.h"

#include "child.h"
#include "cleanup.h"
#include "file.h"
#include "gpu.h"
#include "host.h"
#include "machine_file.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* ---- in the child ---- */

struct query {
	const struct ga_source_request *request;
	struct ga_nvml nvml;
	int out;
};

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t written = write(fd, data, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return -1;
		data += written;
		size -= (size_t)written;
	}
	return 0;
}

/* So that a parent that waited in vain knows which GPU it was. */
static void announce(const struct query *query, unsigned index)
{
	char line[16];
	int length = snprintf(line, sizeof line, "@%u\n", index);

	(void)write_all(query->out, line, (size_t)length);
}

static int init_failed(const struct ga_nvml *nvml, int result, gpualloc_error *error)
{
	const char *advice;

	switch (result) {
	case GA_NVML_VERSION_MISMATCH:
		advice = "the library is newer or older than the loaded kernel module, as after an "
			 "update; reboot, or unload and load the nvidia module";
		break;
	case GA_NVML_DRIVER_NOT_LOADED:
		advice = "the nvidia kernel module is not loaded, or its device files are missing; "
			 "try `modprobe nvidia`";
		break;
	case GA_NVML_NO_PERMISSION: advice = "this user may not open /dev/nvidiactl"; break;
	case GA_NVML_LIBRARY_NOT_FOUND:
		advice = "a library that it needs is missing; install the driver again";
		break;
	default:
		advice = "the kernel's log (dmesg) may say more; in a container, restart it";
		break;
	}
	return ga_error_set(error, GPUALLOC_ENOSOURCE,
			    "NVML: cannot be initialised: \"%s\" (%d): %s",
			    ga_nvml_text(nvml, result), result, advice);
}

static int read_gpu(const struct query *query, struct ga_nvml_gpu *gpu, unsigned index)
{
	ga_nvml_handle handle = NULL;
	int result;

	announce(query, index);
	result = query->nvml.handle_by_index(index, &handle);
	if (result != GA_NVML_SUCCESS || !handle)
		return ga_nvml_no_handle(gpu, result ? result : GA_NVML_UNKNOWN);
	gpu->handle = handle;
	result = ga_nvml_read_device(gpu);
	if (result == 0 && !gpu->sick)
		result = ga_nvml_read_mig_and_processes(gpu);
	return result;
}

static int read_gpus(const struct query *query, gpualloc_machine *machine)
{
	const char *root = query->request->root;
	ga_auto_free struct ga_nvml_gpu *gpus = calloc(machine->device_count + 1, sizeof *gpus);
	bool hidden = !ga_host_sees_all_processes(root);
	int result = gpus ? 0 : GPUALLOC_ENOMEM;

	for (unsigned i = 0; result == 0 && i < machine->device_count; i++) {
		gpus[i] = (struct ga_nvml_gpu){.nvml = &query->nvml,
					       .root = root,
					       .names_hidden = hidden,
					       .device = &machine->devices[i]};
		result = read_gpu(query, &gpus[i], i);
	}
	return result == 0 ? ga_nvml_read_links(gpus, machine) : result;
}

static int read_facts(const struct query *query, gpualloc_machine *machine)
{
	const char *root = query->request->root;
	char version[GA_NVML_VERSION_SIZE] = "";
	int result = ga_set_text(&machine->source, "nvml");

	if (query->nvml.driver_version &&
	    query->nvml.driver_version(version, sizeof version - 1) == GA_NVML_SUCCESS &&
	    result == 0)
		result = ga_set_text(&machine->driver, version);
	if (result == 0)
		result = read_gpus(query, machine);
	if (result == 0)
		result = ga_host_describe(root, machine);
	if (result == 0)
		result = ga_host_places(root, machine);
	return result == 0 ? ga_host_processes(root, machine) : result;
}

static int build_machine(const struct query *query, gpualloc_machine **ret_machine,
			 gpualloc_error *error)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	unsigned count = 0;
	int result = query->nvml.count(&count);

	if (result != GA_NVML_SUCCESS)
		return ga_error_set(error, GPUALLOC_ENOSOURCE,
				    "NVML: cannot count the GPUs: \"%s\" (%d)",
				    ga_nvml_text(&query->nvml, result), result);
	if (count > GA_DEVICES_MAX)
		return ga_error_set(error, GPUALLOC_ENOSOURCE,
				    "NVML: counts %u GPUs, more than the %d that are believed",
				    count, GA_DEVICES_MAX);
	result = ga_machine_new(count, &machine, error);
	if (result < 0)
		return result;
	if (read_facts(query, machine) < 0)
		return ga_error_memory(error);
	*ret_machine = ga_steal(&machine);
	return 0;
}

static int ask_library(struct query *query, gpualloc_machine **ret_machine, gpualloc_error *error)
{
	int result = query->nvml.init();

	if (result != GA_NVML_SUCCESS)
		return init_failed(&query->nvml, result, error);
	result = build_machine(query, ret_machine, error);
	(void)query->nvml.shutdown();
	return result;
}

static int answer(struct query *query, struct ga_buffer *out, gpualloc_error *error)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	const struct ga_source_request *request = query->request;
	int result = ga_nvml_load(request->nvml_library, ga_file_exists(request->root, "/dev/dxg"),
				  &query->nvml, error);

	if (result < 0)
		return result;
	result = ask_library(query, &machine, error);
	if (result == 0)
		result = ga_machine_file_write(machine, GA_FORM_COMPLETE, out, error);
	ga_nvml_unload(&query->nvml);
	return result;
}

/* The answer keeps the pipe to itself: a library that prints to standard output is not heard. */
static int keep_pipe(int out)
{
	int pipe = fcntl(out, F_DUPFD_CLOEXEC, 3);

	if (pipe >= 0 && dup2(STDERR_FILENO, out) < 0) {
		close(pipe);
		return -1;
	}
	return pipe;
}

static int work(void *context, int out)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(GA_MACHINE_FILE_MAX);
	gpualloc_error error = {0};
	struct query query = {.request = context, .out = keep_pipe(out)};
	int result;

	if (query.out < 0)
		return 1;
	result = answer(&query, &text, &error);
	if (result < 0) {
		ga_buffer_free(&text);
		text = GA_BUFFER_INIT(2 * GA_ERROR_SIZE);
		ga_buffer_format(&text, "!%d %s\n", -result, error.message);
	}
	return text.failed || write_all(query.out, text.data, text.size) < 0;
}

/* ---- in the parent ---- */

/* Takes the lines "@N" off; -1 where there was none. */
static int64_t last_asked(struct ga_view *rest)
{
	int64_t index = GA_UNKNOWN;
	struct ga_view line;

	while (rest->size > 0 && rest->text[0] == '@' && ga_view_line(rest, &line))
		if (!ga_text_number(line.text + 1, line.size - 1, GA_DEVICES_MAX, &index))
			break;
	return index;
}

static int hung(unsigned deadline_ms, int64_t index, gpualloc_error *error)
{
	char seconds[32], where[64] = "";

	(void)snprintf(seconds, sizeof seconds, "%g", deadline_ms / 1000.0);
	if (index >= 0)
		(void)snprintf(where, sizeof where, " (it was asked for GPU %lld last)",
			       (long long)index);
	return ga_error_set(
		error, GPUALLOC_ENOSOURCE,
		"NVML: did not answer within %s s%s: the driver hangs, as it does with a "
		"GPU that has failed; the kernel's log (dmesg) says which, and a reboot helps",
		seconds, where);
}

static int died(const struct ga_child_result *child, int64_t index, gpualloc_error *error)
{
	char where[64] = "";

	if (index >= 0)
		(void)snprintf(where, sizeof where, ", asked for GPU %lld last", (long long)index);
	if (child->exit_status > 128)
		return ga_error_set(error, GPUALLOC_ENOSOURCE,
				    "NVML: the driver's library crashed (signal %d, %s%s); "
				    "the library and the kernel module may not belong together",
				    child->exit_status - 128, strsignal(child->exit_status - 128),
				    where);
	return ga_error_set(error, GPUALLOC_ENOSOURCE,
			    "NVML: the query ended without an answer (exit status %d%s)",
			    child->exit_status, where);
}

/* "!STATUS SENTENCE" */
static int told_error(struct ga_view rest, gpualloc_error *error)
{
	ga_auto_free char *sentence = NULL;
	const char *blank = memchr(rest.text, ' ', rest.size);
	int64_t status = 0;

	if (!blank ||
	    !ga_text_number(rest.text + 1, (size_t)(blank - rest.text) - 1, -GPUALLOC_EIO,
			    &status) ||
	    status == 0)
		return ga_error_set(error, GPUALLOC_ENOSOURCE,
				    "NVML: the query ended with an answer that makes no sense");
	sentence = ga_text_clean(blank, rest.size - (size_t)(blank - rest.text));
	if (!sentence || status == -GPUALLOC_ENOMEM)
		return ga_error_memory(error);
	return ga_error_set(error, GPUALLOC_ENOSOURCE, "%s", sentence);
}

static int read_answer(const struct ga_child_result *child, unsigned deadline_ms,
		       gpualloc_machine **ret_machine, gpualloc_error *error)
{
	struct ga_view rest = {child->output.data, child->output.size};
	int64_t index = last_asked(&rest);
	int result;

	if (child->timed_out)
		return hung(deadline_ms, index, error);
	if (child->exit_status != 0 || rest.size == 0)
		return died(child, index, error);
	if (rest.text[0] == '!')
		return told_error(rest, error);
	result = ga_machine_file_read(rest.text, rest.size, GA_FORM_COMPLETE, ret_machine, error);
	if (result == 0 || result == GPUALLOC_ENOMEM)
		return result;
	return ga_error_prefix(error, GPUALLOC_ENOSOURCE, "NVML: its answer cannot be used: ");
}

/* The library is left alone where no driver is: loading it there only costs time. */
static bool has_driver(const struct ga_source_request *request)
{
	return request->nvml_library ||
	       ga_file_exists(request->root, "/proc/driver/nvidia/version") ||
	       ga_file_exists(request->root, "/dev/dxg");
}

static int query_nvml(const struct ga_source_request *request, gpualloc_machine **ret_machine,
		      gpualloc_error *error)
{
	ga_auto_child struct ga_child_result child = {0};
	/* The child only reads it; a context is not const because others write to theirs. */
	struct ga_source_request copy = *request;
	int result;

	if (!has_driver(request))
		return ga_error_set(error, GPUALLOC_ENOSOURCE,
				    "NVML: there is no NVIDIA driver here "
				    "(no /proc/driver/nvidia/version)");
	result = ga_child_call("NVML", work, &copy, request->deadline_ms, GA_MACHINE_FILE_MAX,
			       &child, error);
	if (result < 0)
		return result;
	return read_answer(&child, request->deadline_ms, ret_machine, error);
}

const struct ga_source ga_source_nvml = {
	.name = "nvml",
	.description = "the GPUs of this machine, from the driver's library",
	.query = query_nvml,
};
