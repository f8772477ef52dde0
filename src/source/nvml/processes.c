/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes that compute or draw on a GPU or an instance. The driver's records have 16, 24 or
 * 32 bytes; the number it gives is trusted only up to a limit.
 */
#include "gpu.h"

#include "cleanup.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 32, TRIES = 8 };

void ga_nvml_processes_free(struct ga_nvml_processes *processes)
{
	free(processes->list);
	*processes = (struct ga_nvml_processes){0};
}

/* One of the driver's lists: the call, and how many bytes it writes for a process. */
struct list_call {
	ga_nvml_processes_call *call;
	size_t stride;
	enum ga_process_type type;
};

struct records {
	char *data;
	unsigned count;
};

static void free_records(struct records *records)
{
	free(records->data);
}
#define auto_records ga_cleanup(free_records)

/*
 * Asks with more room until the list fits: it may grow between two calls. GPUALLOC_ENOMEM, or the
 * driver's result. There is always room for the widest records, so that a driver that surprises us
 * does not write into other memory. Bytes that it does not write are 0.
 */
static int fetch(const struct list_call *list, ga_nvml_handle handle, struct records *ret_records)
{
	unsigned room = FIRST_ROOM;

	for (int try = 0; try < TRIES; try++) {
		unsigned count = room;
		int result;

		free(ret_records->data);
		ret_records->data = calloc(room, sizeof(struct ga_nvml_process_535));
		if (!ret_records->data)
			return GPUALLOC_ENOMEM;
		result = list->call(handle, &count, ret_records->data);
		ret_records->count = count < room ? count : room;
		/* A list that worked and did not fit cannot be believed. */
		if (result == GA_NVML_SUCCESS && count > room)
			result = GA_NVML_INSUFFICIENT_SIZE;
		if (result != GA_NVML_INSUFFICIENT_SIZE)
			return result;
		if (room >= GA_PROCESSES_MAX)
			return result;
		room = count > room ? count : room;
		/* A few more than it said, for processes that start in between. */
		room = room < GA_PROCESSES_MAX / 2 ? room * 2 : GA_PROCESSES_MAX;
	}
	return GA_NVML_INSUFFICIENT_SIZE;
}

static struct ga_nvml_process decode(const char *record, const struct list_call *list)
{
	struct ga_nvml_process_v2 whole = {.gi = GA_NVML_NO_INSTANCE, .ci = GA_NVML_NO_INSTANCE};

	memcpy(&whole, record, list->stride < sizeof whole ? list->stride : sizeof whole);
	return (struct ga_nvml_process){whole.pid, whole.memory, whole.gi, whole.ci, list->type};
}

static int append(struct ga_nvml_processes *processes, const struct records *records,
		  const struct list_call *list)
{
	struct ga_nvml_process *larger;

	if (records->count == 0)
		return 0;
	larger = realloc(processes->list,
			 (processes->count + records->count) * sizeof *processes->list);
	if (!larger)
		return GPUALLOC_ENOMEM;
	processes->list = larger;
	for (size_t i = 0; i < records->count; i++)
		larger[processes->count++] = decode(records->data + i * list->stride, list);
	return 0;
}

static int read_list(struct ga_nvml_gpu *gpu, ga_nvml_handle handle, const struct list_call *list,
		     struct ga_nvml_processes *processes, int *ret_result)
{
	auto_records struct records records = {0};
	int result;

	*ret_result = GA_NVML_FUNCTION_NOT_FOUND;
	if (!list->call || gpu->sick)
		return 0;
	result = fetch(list, handle, &records);
	if (result == GPUALLOC_ENOMEM)
		return result;
	*ret_result = result;
	return ga_nvml_worked(gpu, result, "its processes") ? append(processes, &records, list) : 0;
}

/* What the driver has and does not tell; a GPU that cannot have such processes has no list. */
static bool is_withheld(int result)
{
	return result != GA_NVML_SUCCESS && result != GA_NVML_NOT_SUPPORTED &&
	       result != GA_NVML_FUNCTION_NOT_FOUND && result != GA_NVML_INVALID_ARGUMENT;
}

int ga_nvml_read_processes(struct ga_nvml_gpu *gpu, ga_nvml_handle handle,
			   struct ga_nvml_processes *ret_processes)
{
	const struct ga_nvml *nvml = gpu->nvml;
	ga_auto_processes struct ga_nvml_processes processes = {0};
	size_t stride = ga_nvml_process_stride(nvml), old = sizeof(struct ga_nvml_process_v1);
	const struct list_call newer[] = {
		{nvml->compute_processes, stride, GA_PROCESS_COMPUTE},
		{nvml->graphics_processes, stride, GA_PROCESS_GRAPHICS},
		{nvml->mps_processes, stride, GA_PROCESS_MPS_COMPUTE},
	};
	const struct list_call older[] = {
		{nvml->compute_processes_v1, old, GA_PROCESS_COMPUTE},
		{nvml->graphics_processes_v1, old, GA_PROCESS_GRAPHICS},
		{nvml->mps_processes_v1, old, GA_PROCESS_MPS_COMPUTE},
	};

	for (size_t i = 0; i < sizeof newer / sizeof *newer; i++) {
		int told;
		int result = read_list(gpu, handle, newer[i].call ? &newer[i] : &older[i],
				       &processes, &told);

		if (result < 0)
			return result;
		/* The list of computing processes matters; others may be missing, but not withheld.
		 */
		if (i == 0)
			processes.known = told == GA_NVML_SUCCESS;
		else if (is_withheld(told))
			processes.known = false;
	}
	*ret_processes = processes;
	processes = (struct ga_nvml_processes){0};
	return 0;
}

/* ---- into the machine ---- */

/* The part of a path, and of any arguments after it, that people know: the last word. */
static int set_name(const struct ga_nvml *nvml, unsigned pid, char **name)
{
	char text[GA_TEXT_MAX + 1] = "";
	const char *slash;
	char *arguments;

	if (!nvml->process_name ||
	    nvml->process_name(pid, text, sizeof text - 1) != GA_NVML_SUCCESS)
		return 0;
	arguments = strstr(text, " -");
	if (arguments)
		*arguments = '\0';
	slash = strrchr(text, '/');
	return ga_set_text(name, slash && slash[1] ? slash + 1 : text);
}

static enum ga_process_type merge_types(enum ga_process_type one, enum ga_process_type other)
{
	if (one == other)
		return one;
	if (one == GA_PROCESS_MPS_COMPUTE || other == GA_PROCESS_MPS_COMPUTE)
		return GA_PROCESS_MPS_COMPUTE;
	return GA_PROCESS_COMPUTE_GRAPHICS;
}

static struct gpualloc_process *find_process(struct gpualloc_device *device, int64_t pid)
{
	for (size_t i = 0; i < device->process_count; i++)
		if (device->processes[i].pid == pid)
			return &device->processes[i];
	return NULL;
}

int ga_nvml_add_process(struct ga_nvml_gpu *gpu, const struct ga_nvml_process *process,
			struct gpualloc_device *device)
{
	struct gpualloc_process *known = find_process(device, process->pid);
	int64_t memory =
		process->memory <= INT64_C(1) << 56 ? (int64_t)process->memory : GA_UNKNOWN;

	if (process->pid > INT32_MAX || (!known && device->process_count >= GA_PROCESSES_MAX))
		return 0;
	if (known) {
		/* The lists describe the same memory. */
		known->memory = memory > known->memory ? memory : known->memory;
		known->type = merge_types(known->type, process->type);
		return 0;
	}
	known = ga_device_add_process(device);
	if (!known)
		return GPUALLOC_ENOMEM;
	known->pid = process->pid;
	known->type = process->type;
	known->memory = memory;
	return gpu->names_hidden ? 0 : set_name(gpu->nvml, process->pid, &known->name);
}
