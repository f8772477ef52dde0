/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MIG: the instances of a GPU, and which processes run where. Without privileges a GPU in MIG mode
 * does not report its memory and processes, but its instances do. An instance may be destroyed
 * while it is asked: then it is silently left out.
 */
#include "gpu.h"

#include "cleanup.h"
#include "text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { INSTANCE_MOST = INT16_MAX };

/* ---- the name of an instance ---- */

static const char *skip_number(const char *text, char unit)
{
	const char *end = text + strspn(text, "0123456789");

	return end > text && *end == unit ? end + 1 : NULL;
}

/* The length of "1g.5gb", "1c.3g.20gb", "1g.10gb+me" at the beginning of text, or 0. */
static size_t profile_length(const char *text)
{
	const char *end = skip_number(text, 'c');

	end = skip_number(end && *end == '.' ? end + 1 : text, 'g');
	end = end && *end == '.' ? skip_number(end + 1, 'g') : NULL;
	if (!end || *end != 'b')
		return 0;
	end++;
	if (*end == '+' || *end == '-')
		while (isalnum((unsigned char)*end) || (*end && strchr("+-.", *end)))
			end++;
	return *end && *end != ' ' ? 0 : (size_t)(end - text);
}

static int profile_from_name(const char *name, char **profile)
{
	for (const char *mig = strstr(name, "MIG "); mig; mig = strstr(mig + 1, "MIG ")) {
		size_t length = profile_length(mig + 4);

		if (length > 0)
			return ga_set_text_sized(profile, mig + 4, length);
	}
	return 0;
}

static int read_profile(struct ga_nvml_gpu *gpu, ga_nvml_handle handle,
			struct gpualloc_device *instance)
{
	const struct ga_nvml *nvml = gpu->nvml;
	struct ga_nvml_attributes is = {0};
	char text[GA_NVML_NAME_SIZE];
	size_t length = 0;

	if (ga_nvml_ask_text(gpu, nvml->name, handle, "an instance's name", text) &&
	    profile_from_name(text, &instance->profile) < 0)
		return GPUALLOC_ENOMEM;
	if (instance->profile || gpu->sick || !nvml->attributes ||
	    !ga_nvml_worked(gpu, nvml->attributes(handle, &is), "an instance's attributes") ||
	    is.gpu_slices == 0 || is.memory_mb == 0)
		return 0;
	if (is.compute_slices > 0 && is.compute_slices < is.gpu_slices)
		length = (size_t)snprintf(text, sizeof text, "%uc.", is.compute_slices);
	(void)snprintf(text + length, sizeof text - length, "%ug.%llugb", is.gpu_slices,
		       (unsigned long long)(is.memory_mb / 1024 + (is.memory_mb % 1024 != 0)));
	return ga_set_text(&instance->profile, text);
}

/* ---- one instance ---- */

/* In those drivers an instance had no UUID of its own, and MIG-GPU-…/gi/ci was its name. */
static bool is_before_470(const struct ga_nvml *nvml)
{
	/* The call came with 470; the symbols say more than the version, which is text. */
	return !nvml->link_remote_type;
}

/*
 * Asks for the UUID last, after GI and CI: this reveals an instance that went away in between, and
 * a handle that now belongs to another one.
 */
static int read_uuid(struct ga_nvml_gpu *gpu, ga_nvml_handle handle,
		     struct gpualloc_device *instance, bool *ret_there)
{
	const char *parent = gpu->device->uuid;
	char text[GA_NVML_NAME_SIZE] = "";
	int result = gpu->nvml->uuid(handle, text, sizeof text - 1);

	*ret_there = result != GA_NVML_INVALID_ARGUMENT && result != GA_NVML_NOT_FOUND;
	if (ga_nvml_worked(gpu, result, "an instance's UUID") && ga_text_starts(text, "MIG-"))
		return ga_set_text(&instance->uuid, text);
	if (!*ret_there || !is_before_470(gpu->nvml) || !parent || instance->gi < 0 ||
	    instance->ci < 0)
		return 0;
	(void)snprintf(text, sizeof text, "MIG-%.60s/%d/%d", parent, (int)instance->gi,
		       (int)instance->ci);
	return ga_set_text(&instance->uuid, text);
}

static int64_t ask_instance(struct ga_nvml_gpu *gpu, ga_nvml_number_call *call,
			    ga_nvml_handle handle, bool *there)
{
	unsigned number = 0;
	int result = call ? call(handle, &number) : GA_NVML_FUNCTION_NOT_FOUND;

	if (result == GA_NVML_INVALID_ARGUMENT || result == GA_NVML_NOT_FOUND)
		*there = false;
	if (!ga_nvml_worked(gpu, result, "an instance's number") || number > INSTANCE_MOST)
		return GA_UNKNOWN;
	return number;
}

static int read_instance_processes(struct ga_nvml_gpu *gpu, ga_nvml_handle handle,
				   struct gpualloc_device *instance)
{
	ga_auto_processes struct ga_nvml_processes processes = {0};
	int result = ga_nvml_read_processes(gpu, handle, &processes);

	instance->processes_known = processes.known;
	for (size_t i = 0; result == 0 && i < processes.count; i++)
		result = ga_nvml_add_process(gpu, &processes.list[i], instance);
	return result;
}

static int read_instance(struct ga_nvml_gpu *gpu, ga_nvml_handle handle,
			 struct gpualloc_device *instance, bool *ret_there)
{
	bool there = true;
	int result = 0;

	instance->gi = ask_instance(gpu, gpu->nvml->gi, handle, &there);
	if (there && !gpu->sick)
		instance->ci = ask_instance(gpu, gpu->nvml->ci, handle, &there);
	if (there && !gpu->sick)
		result = read_profile(gpu, handle, instance);
	if (result == 0 && there && !gpu->sick) {
		(void)ga_nvml_read_memory(gpu, handle, &instance->memory);
		result = read_instance_processes(gpu, handle, instance);
	}
	if (result == 0 && there && !gpu->sick)
		result = read_uuid(gpu, handle, instance, &there);
	*ret_there = there;
	return result;
}

/* A handle that now belongs to another instance reports one that we already have. */
static bool is_again(const struct gpualloc_device *device, const struct gpualloc_device *instance)
{
	for (const struct gpualloc_device *other = device->mig; other < instance; other++)
		if (instance->uuid && ga_text_same(other->uuid, instance->uuid))
			return true;
	return false;
}

static int read_instances(struct ga_nvml_gpu *gpu)
{
	const struct ga_nvml *nvml = gpu->nvml;
	int64_t count = ga_nvml_ask_number(gpu, nvml->mig_count, gpu->handle,
					   "its number of instances", UINT32_MAX);
	int result = 0;

	if (count < 0 || count > GA_MIG_MAX)
		count = GA_MIG_MAX;
	for (unsigned i = 0; result == 0 && !gpu->sick && i < count; i++) {
		ga_nvml_handle handle = NULL;
		struct gpualloc_device *instance;
		bool there;

		/* The numbers have gaps: a missing one is not the end. */
		if (!ga_nvml_worked(gpu, nvml->mig_handle(gpu->handle, i, &handle),
				    "an instance") ||
		    !handle)
			continue;
		instance = ga_device_add_mig(gpu->device);
		if (!instance)
			return GPUALLOC_ENOMEM;
		result = read_instance(gpu, handle, instance, &there);
		if (!there || is_again(gpu->device, instance))
			ga_device_remove_mig(gpu->device, gpu->device->mig_count - 1);
	}
	return result;
}

static int read_mig(struct ga_nvml_gpu *gpu)
{
	const struct ga_nvml *nvml = gpu->nvml;
	unsigned current = 0, pending = 0;

	if (!nvml->mig_mode ||
	    !ga_nvml_worked(gpu, nvml->mig_mode(gpu->handle, &current, &pending), "its MIG mode") ||
	    current != 1)
		return 0;
	gpu->device->mig_enabled = true;
	gpu->device->memory_unified = false;
	return nvml->mig_handle ? read_instances(gpu) : 0;
}

/* ---- processes and where they run ---- */

static bool runs_on(const struct ga_nvml_process *process, const struct gpualloc_device *instance)
{
	/* 16-byte records do not name an instance; then the instance's own list is used. */
	if (process->gi == GA_NVML_NO_INSTANCE) {
		for (size_t i = 0; i < instance->process_count; i++)
			if (instance->processes[i].pid == process->pid)
				return true;
		return false;
	}
	return process->gi == instance->gi &&
	       (process->ci == instance->ci || process->ci == GA_NVML_NO_INSTANCE);
}

/* Moves a process from the whole GPU's list to the instance where it runs, or to the GPU if none is
 * known. */
static int place_process(struct ga_nvml_gpu *gpu, const struct ga_nvml_process *process)
{
	struct gpualloc_device *device = gpu->device;

	for (size_t m = 0; m < device->mig_count; m++)
		if (runs_on(process, &device->mig[m]))
			return ga_nvml_add_process(gpu, process, &device->mig[m]);
	return ga_nvml_add_process(gpu, process, device);
}

int ga_nvml_read_mig_and_processes(struct ga_nvml_gpu *gpu)
{
	ga_auto_processes struct ga_nvml_processes processes = {0};
	struct gpualloc_device *device = gpu->device;
	int result = read_mig(gpu);

	if (result == 0 && !gpu->sick)
		result = ga_nvml_read_processes(gpu, gpu->handle, &processes);
	for (size_t i = 0; result == 0 && i < processes.count; i++)
		result = place_process(gpu, &processes.list[i]);
	device->processes_known = processes.known;
	/* The driver shows neither, so nobody knows whether the GPU is idle. */
	if (!processes.known && device->memory.used < 0)
		device->processes_hidden = true;
	/* A complete list that names instances is a complete list of each of them. */
	if (processes.known && gpu->nvml->compute_processes)
		for (size_t m = 0; m < device->mig_count; m++)
			device->mig[m].processes_known = true;
	return result;
}
