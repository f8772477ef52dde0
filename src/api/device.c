/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exported face of devices and processes: the calls pass on what they are given and decide
 * nothing.
 */
#include "device_state.h"

const char *gpualloc_health_name(enum gpualloc_health health)
{
	return ga_health_name(health);
}

const char *gpualloc_state_name(enum gpualloc_state state)
{
	return ga_state_name(state);
}

int64_t gpualloc_device_index(const gpualloc_device *device)
{
	return device ? device->index : GA_UNKNOWN;
}

const char *gpualloc_device_uuid(const gpualloc_device *device)
{
	return device ? device->uuid : NULL;
}

const char *gpualloc_device_serial(const gpualloc_device *device)
{
	return device ? device->serial : NULL;
}

const char *gpualloc_device_name(const gpualloc_device *device)
{
	return device ? device->name : NULL;
}

const char *gpualloc_device_pci(const gpualloc_device *device)
{
	return device ? device->pci : NULL;
}

const char *gpualloc_device_cpus(const gpualloc_device *device)
{
	return device ? device->cpus : NULL;
}

const char *gpualloc_device_compute_mode(const gpualloc_device *device)
{
	return device ? ga_compute_mode_name(device->compute_mode) : NULL;
}

int64_t gpualloc_device_minor(const gpualloc_device *device)
{
	return device ? device->minor : GA_UNKNOWN;
}

int64_t gpualloc_device_numa(const gpualloc_device *device)
{
	return device ? device->numa : GA_UNKNOWN;
}

int64_t gpualloc_device_link_version(const gpualloc_device *device)
{
	return device ? device->nvlink_version : GA_UNKNOWN;
}

int gpualloc_device_display(const gpualloc_device *device)
{
	return device ? device->display : GA_UNKNOWN;
}

int64_t gpualloc_device_utilization(const gpualloc_device *device)
{
	return device ? device->utilization : GA_UNKNOWN;
}

enum gpualloc_health gpualloc_device_health(const gpualloc_device *device)
{
	return device ? device->health : GPUALLOC_HEALTH_OK;
}

int64_t gpualloc_device_memory_total(const gpualloc_device *device)
{
	return device ? device->memory.total : GA_UNKNOWN;
}

int64_t gpualloc_device_memory_reserved(const gpualloc_device *device)
{
	return device ? device->memory.reserved : GA_UNKNOWN;
}

int gpualloc_device_memory_unified(const gpualloc_device *device)
{
	return device ? device->memory_unified : 0;
}

int64_t gpualloc_device_memory_used(const gpualloc_device *device)
{
	return device ? device->memory.used : GA_UNKNOWN;
}

int64_t gpualloc_device_memory_free(const gpualloc_device *device)
{
	return device ? ga_device_memory_free(device) : GA_UNKNOWN;
}

int64_t gpualloc_device_memory_left(const gpualloc_device *device)
{
	return device ? ga_device_room(device) : GA_UNKNOWN;
}

enum gpualloc_state gpualloc_device_state(const gpualloc_device *device)
{
	return device ? ga_device_state(device) : GPUALLOC_STATE_EXCLUDED;
}

size_t gpualloc_device_reason(const gpualloc_device *device, char *text, size_t size)
{
	if (device)
		return ga_device_reason(device, text, size);
	if (size > 0)
		*text = '\0';
	return 0;
}

int gpualloc_device_mig_enabled(const gpualloc_device *device)
{
	return device ? device->mig_enabled : 0;
}

size_t gpualloc_device_mig_count(const gpualloc_device *device)
{
	return device ? device->mig_count : 0;
}

const gpualloc_device *gpualloc_device_mig(const gpualloc_device *device, size_t i)
{
	return device && i < device->mig_count ? &device->mig[i] : NULL;
}

const gpualloc_device *gpualloc_device_parent(const gpualloc_device *device)
{
	return device ? device->parent : NULL;
}

const char *gpualloc_device_profile(const gpualloc_device *device)
{
	return device ? device->profile : NULL;
}

int64_t gpualloc_device_gi(const gpualloc_device *device)
{
	return device ? device->gi : GA_UNKNOWN;
}

int64_t gpualloc_device_ci(const gpualloc_device *device)
{
	return device ? device->ci : GA_UNKNOWN;
}

int gpualloc_device_processes_known(const gpualloc_device *device)
{
	return device ? device->processes_known : 0;
}

int gpualloc_device_processes_hidden(const gpualloc_device *device)
{
	return device ? device->processes_hidden : 0;
}

size_t gpualloc_device_process_count(const gpualloc_device *device)
{
	return device ? device->process_count : 0;
}

const gpualloc_process *gpualloc_device_process(const gpualloc_device *device, size_t i)
{
	return device && i < device->process_count ? &device->processes[i] : NULL;
}

int64_t gpualloc_process_pid(const gpualloc_process *process)
{
	return process ? process->pid : GA_UNKNOWN;
}

const char *gpualloc_process_type(const gpualloc_process *process)
{
	return process ? ga_process_type_name(process->type) : NULL;
}

int64_t gpualloc_process_memory(const gpualloc_process *process)
{
	return process ? process->memory : GA_UNKNOWN;
}

const char *gpualloc_process_user(const gpualloc_process *process)
{
	return process ? process->user : NULL;
}

const char *gpualloc_process_name(const gpualloc_process *process)
{
	return process ? process->name : NULL;
}

int gpualloc_process_in_pod(const gpualloc_process *process)
{
	return process && process->in_pod;
}
