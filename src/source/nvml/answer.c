/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child's side of a query: loads the library, asks it, and reports what it asks and what it
 * learned. A question may hang for ever or end the process, so the parent is told before each GPU
 * and before each part of one.
 */
#include "answer.h"

#include "cleanup.h"
#include "file.h"
#include "gpu.h"
#include "host.h"
#include "machine_file.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct query {
	const struct ga_nvml_question *question;
	struct ga_nvml nvml;
	int out;
};

/* ---- reporting ---- */

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

static void say(int out, char kind, long long number, const char *words)
{
	char line[GA_NVML_DOING_SIZE + 32];
	int length = snprintf(line, sizeof line, "%c%lld %s\n", kind, number, words);

	(void)write_all(out, line, (size_t)length);
}

void ga_nvml_announce(const struct ga_nvml_gpu *gpu, const char *doing)
{
	if (gpu->handle || !gpu->sick)
		say(gpu->out, '@', (long long)gpu->index, doing);
}

int ga_nvml_say_machine(int out, char kind, const gpualloc_machine *machine, gpualloc_error *error)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(GA_MACHINE_FILE_MAX);
	char head[32];
	int result = ga_machine_file_write(machine, GA_FORM_COMPLETE, &text, error);

	if (result < 0)
		return result;
	(void)snprintf(head, sizeof head, "%c%zu\n", kind, text.size);
	if (write_all(out, head, strlen(head)) < 0 || write_all(out, text.data, text.size) < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "NVML");
	return 0;
}

int ga_nvml_say_error(int out, const gpualloc_error *error)
{
	char line[2 * GA_ERROR_SIZE];

	(void)snprintf(line, sizeof line, "!%d %u %s\n", -error->status, error->remedies,
		       error->message);
	return write_all(out, line, strlen(line)) < 0 ? GPUALLOC_EIO : 0;
}

/* A sandbox (gVisor) has a driver but does not show it, so the library is tried all the same. */
static bool shows_driver(const struct ga_source_request *request)
{
	return request->nvml_library ||
	       ga_file_exists(request->root, "/proc/driver/nvidia/version") ||
	       ga_file_exists(request->root, "/dev/dxg");
}

static int no_driver(const char *also, gpualloc_error *error)
{
	return ga_error_set(error, GPUALLOC_ENOSOURCE,
			    "NVML: there is no NVIDIA driver here (no "
			    "/proc/driver/nvidia/version), %s",
			    also);
}

static int init_failed(const struct ga_nvml *nvml, int result, gpualloc_error *error)
{
	const char *advice;

	switch (result) {
	case GA_NVML_VERSION_MISMATCH:
		advice = "the library does not match the loaded kernel module, as after an update; "
			 "reboot, or reload the nvidia module";
		break;
	case GA_NVML_DRIVER_NOT_LOADED:
		advice = "the nvidia kernel module is not loaded, or its device files are missing; "
			 "try `modprobe nvidia`";
		break;
	case GA_NVML_NO_PERMISSION: advice = "this user may not open /dev/nvidiactl"; break;
	case GA_NVML_OPERATING_SYSTEM:
		advice = "the operating system (a cgroup, say) blocks the GPUs";
		break;
	case GA_NVML_LIBRARY_NOT_FOUND:
		advice = "a library that it needs is missing; reinstall the driver";
		break;
	default:
		advice = "the kernel's log (dmesg) may say more; in a container, restart it";
		break;
	}
	return ga_error_set(error, GPUALLOC_ENOSOURCE,
			    "NVML: cannot be initialised: \"%s\" (%d): %s",
			    ga_nvml_text(nvml, result), result, advice);
}

/* ---- one GPU ---- */

static struct ga_nvml_gpu gpu_of(const struct query *query, gpualloc_machine *machine, size_t place)
{
	const char *root = query->question->request->root;

	return (struct ga_nvml_gpu){.nvml = &query->nvml,
				    .root = root,
				    .out = query->out,
				    .names_hidden = !ga_host_sees_all_processes(root),
				    .index = machine->devices[place].index,
				    .device = &machine->devices[place]};
}

static int take_handle(struct ga_nvml_gpu *gpu)
{
	ga_nvml_handle handle = NULL;
	int result;

	ga_nvml_announce(gpu, "a handle");
	result = gpu->nvml->handle_by_index((unsigned)gpu->index, &handle);
	if (result != GA_NVML_SUCCESS || !handle)
		return ga_nvml_unusable(gpu, result ? result : GA_NVML_UNKNOWN, "a handle");
	gpu->handle = handle;
	return ga_nvml_read_identity(gpu);
}

static int read_state(struct ga_nvml_gpu *gpu)
{
	int result = 0;

	if (gpu->sick)
		return 0;
	ga_nvml_announce(gpu, "its state");
	result = ga_nvml_read_state(gpu);
	if (result < 0 || gpu->sick)
		return result;
	ga_nvml_announce(gpu, "its processes");
	return ga_nvml_read_mig_and_processes(gpu);
}

/* What the parent knows about a GPU that must not be asked. */
static int skip(const struct ga_nvml_skipped *skipped, struct ga_nvml_gpu *gpu)
{
	gpu->sick = GA_NVML_TIMEOUT;
	gpu->device->health = GPUALLOC_HEALTH_UNRESPONSIVE;
	return *skipped->pci ? ga_set_text(&gpu->device->pci, skipped->pci) : 0;
}

/* ---- all GPUs ---- */

static int read_gpus(const struct query *query, gpualloc_machine *machine)
{
	const struct ga_nvml_question *question = query->question;
	ga_auto_free struct ga_nvml_gpu *gpus = calloc(machine->device_count + 1, sizeof *gpus);
	int result = gpus ? 0 : GPUALLOC_ENOMEM;

	for (size_t i = 0; result == 0 && i < machine->device_count; i++) {
		gpus[i] = gpu_of(query, machine, i);
		if (i < question->skipped_count && question->skipped[i].skip) {
			result = skip(&question->skipped[i], &gpus[i]);
			continue;
		}
		result = take_handle(&gpus[i]);
		if (result == 0 && question->only >= 0 &&
		    ga_nvml_say_machine(query->out, '+', machine, NULL) < 0)
			result = GPUALLOC_ENOMEM;
		if (result == 0)
			result = read_state(&gpus[i]);
	}
	return result == 0 ? ga_nvml_read_links(gpus, machine) : result;
}

/* A child that asks one GPU leaves it to the one that asks for all of them. */
static int read_version(const struct query *query, gpualloc_machine *machine)
{
	char version[GA_NVML_VERSION_SIZE] = "";

	if (query->question->no_version || query->question->only >= 0 ||
	    !query->nvml.driver_version)
		return 0;
	say(query->out, '@', GA_UNKNOWN, GA_NVML_ASKS_VERSION);
	if (query->nvml.driver_version(version, sizeof version - 1) != GA_NVML_SUCCESS)
		return 0;
	return ga_set_text(&machine->driver, version);
}

static int read_facts(const struct query *query, gpualloc_machine *machine)
{
	const char *root = query->question->request->root;
	int result = ga_set_text(&machine->source, "nvml");

	if (result == 0)
		result = read_version(query, machine);
	if (result == 0)
		result = read_gpus(query, machine);
	if (result == 0)
		result = ga_host_describe(root, machine);
	if (result == 0)
		result = ga_host_places(root, machine);
	if (result == 0)
		result = ga_host_unified_memory(root, machine);
	if (result == 0 && !query->question->request->users_later)
		result = ga_host_processes(root, machine);
	return result;
}

/* ---- one UUID reported twice ---- */

static bool has_uuid(const struct gpualloc_device *device, const char *uuid)
{
	if (!uuid)
		return false;
	for (size_t m = 0; m < device->mig_count; m++)
		if (ga_text_same(device->mig[m].uuid, uuid))
			return true;
	return ga_text_same(device->uuid, uuid);
}

/* The UUID of a GPU, or of one of its instances, that an earlier GPU has too; NULL if none. */
static const char *shared_uuid(const struct gpualloc_device *earlier,
			       const struct gpualloc_device *device)
{
	if (has_uuid(earlier, device->uuid))
		return device->uuid;
	for (size_t m = 0; m < device->mig_count; m++)
		if (has_uuid(earlier, device->mig[m].uuid))
			return device->mig[m].uuid;
	return NULL;
}

static int distrust(struct gpualloc_device *device, const char *uuid, int64_t earlier)
{
	char reason[256];

	(void)snprintf(reason, sizeof reason, "NVML reports the same UUID (%.96s) for GPU %lld",
		       uuid, (long long)earlier);
	free(ga_steal(&device->uuid));
	for (size_t m = 0; m < device->mig_count; m++)
		free(ga_steal(&device->mig[m].uuid));
	if (device->health != GPUALLOC_HEALTH_OK)
		return 0;
	device->health = GPUALLOC_HEALTH_FAILED;
	return ga_set_text(&device->reason, reason);
}

int ga_nvml_part_twins(gpualloc_machine *machine)
{
	for (size_t i = 0; i < machine->device_count; i++) {
		struct gpualloc_device *device = &machine->devices[i];

		for (size_t j = 0; j < i; j++) {
			const char *uuid = shared_uuid(&machine->devices[j], device);

			if (uuid && distrust(device, uuid, machine->devices[j].index) < 0)
				return GPUALLOC_ENOMEM;
		}
	}
	return 0;
}

static int build_machine(const struct query *query, gpualloc_machine **ret_machine,
			 gpualloc_error *error)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	int64_t only = query->question->only;
	unsigned count = 0;
	int result = query->nvml.count(&count);

	if (result != GA_NVML_SUCCESS)
		return ga_error_set(error, GPUALLOC_ENOSOURCE,
				    "NVML: cannot count the GPUs: \"%s\" (%d)",
				    ga_nvml_text(&query->nvml, result), result);
	if (count > GA_DEVICES_MAX)
		return ga_error_set(error, GPUALLOC_ENOSOURCE,
				    "NVML: reports %u GPUs, which is more than the %d that can be "
				    "true",
				    count, GA_DEVICES_MAX);
	say(query->out, '#', count, "GPUs");
	result = ga_machine_new(only >= 0 ? 1 : count, &machine, error);
	if (result < 0)
		return result;
	if (only >= 0)
		machine->devices[0].index = only;
	if (read_facts(query, machine) < 0 || ga_nvml_part_twins(machine) < 0)
		return ga_error_memory(error);
	*ret_machine = ga_steal(&machine);
	return 0;
}

int ga_nvml_build(const struct ga_nvml *nvml, const struct ga_nvml_question *question, int out,
		  gpualloc_machine **ret_machine, gpualloc_error *error)
{
	const struct query query = {question, *nvml, out};

	return build_machine(&query, ret_machine, error);
}

static int ask_library(struct query *query, gpualloc_error *error)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	int result;

	say(query->out, '@', GA_UNKNOWN, "to start");
	result = query->nvml.init();
	if (result == GA_NVML_DRIVER_NOT_LOADED && !shows_driver(query->question->request))
		return no_driver("and its library finds none", error);
	if (result != GA_NVML_SUCCESS)
		return init_failed(&query->nvml, result, error);
	result = build_machine(query, &machine, error);
	if (result == 0)
		result = ga_nvml_say_machine(query->out, '=', machine, error);
	/* It may hang in there, but by then everything has been reported. */
	if (result == 0)
		(void)query->nvml.shutdown();
	return result;
}

/* Only the answer goes into the pipe: a library that prints to standard output is not heard. */
static int keep_pipe(int out)
{
	int pipe = fcntl(out, F_DUPFD_CLOEXEC, 3);

	if (pipe >= 0 && dup2(STDERR_FILENO, out) < 0) {
		close(pipe);
		return -1;
	}
	return pipe;
}

int ga_nvml_answer(void *context, int out)
{
	gpualloc_error error = {0};
	struct query query = {.question = context, .out = keep_pipe(out)};
	const struct ga_source_request *request = query.question->request;
	int result;

	if (query.out < 0)
		return 1;
	ga_host_forget_nvml_settings();
	result = ga_nvml_load(request->nvml_library, request->root, &query.nvml, &error);
	if (result < 0 && !query.nvml.library && !shows_driver(request))
		(void)no_driver("and its library cannot be loaded", &error);
	if (result == 0)
		result = ask_library(&query, &error);
	if (result == 0)
		return 0;
	error.status = result;
	return ga_nvml_say_error(query.out, &error) < 0;
}
