/* SPDX-License-Identifier: Apache-2.0 */
/* The exported face of devices and processes: each call hands on, none decides. */
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
	return device->index;
}

const char *gpualloc_device_uuid(const gpualloc_device *device)
{
	return device->uuid;
}

const char *gpualloc_device_serial(const gpualloc_device *device)
{
	return device->serial;
}

const char *gpualloc_device_name(const gpualloc_device *device)
{
	return device->name;
}

const char *gpualloc_device_pci(const gpualloc_device *device)
{
	return device->pci;
}

const char *gpualloc_device_cpus(const gpualloc_device *device)
{
	return device->cpus;
}

const char *gpualloc_device_compute_mode(const gpualloc_device *device)
{
	return ga_compute_mode_name(device->compute_mode);
}

int64_t gpualloc_device_minor(const gpualloc_device *device)
{
	return device->minor;
}

int64_t gpualloc_device_numa(const gpualloc_device *device)
{
	return device->numa;
}

int64_t gpualloc_device_nvlink_version(const gpualloc_device *device)
{
	return device->nvlink_version;
}

int gpualloc_device_display(const gpualloc_device *device)
{
	return device->display;
}

int64_t gpualloc_device_utilization(const gpualloc_device *device)
{
	return device->utilization;
}

enum gpualloc_health gpualloc_device_health(const gpualloc_device *device)
{
	return device->health;
}

int64_t gpualloc_device_memory_total(const gpualloc_device *device)
{
	return device->memory.total;
}

int64_t gpualloc_device_memory_reserved(const gpualloc_device *device)
{
	return device->memory.reserved;
}

int64_t gpualloc_device_memory_used(const gpualloc_device *device)
{
	return device->memory.used;
}

int64_t gpualloc_device_memory_free(const gpualloc_device *device)
{
	return ga_device_memory_free(device);
}

enum gpualloc_state gpualloc_device_state(const gpualloc_device *device)
{
	return ga_device_state(device);
}

size_t gpualloc_device_reason(const gpualloc_device *device, char *text, size_t size)
{
	return ga_device_reason(device, text, size);
}

int gpualloc_device_mig_enabled(const gpualloc_device *device)
{
	return device->mig_enabled;
}

size_t gpualloc_device_mig_count(const gpualloc_device *device)
{
	return device->mig_count;
}

const gpualloc_device *gpualloc_device_mig(const gpualloc_device *device, size_t i)
{
	return i < device->mig_count ? &device->mig[i] : NULL;
}

const gpualloc_device *gpualloc_device_parent(const gpualloc_device *device)
{
	return device->parent;
}

const char *gpualloc_device_profile(const gpualloc_device *device)
{
	return device->profile;
}

int64_t gpualloc_device_gi(const gpualloc_device *device)
{
	return device->gi;
}

int64_t gpualloc_device_ci(const gpualloc_device *device)
{
	return device->ci;
}

int gpualloc_device_processes_known(const gpualloc_device *device)
{
	return device->processes_known;
}

int gpualloc_device_processes_hidden(const gpualloc_device *device)
{
	return device->processes_hidden;
}

size_t gpualloc_device_process_count(const gpualloc_device *device)
{
	return device->process_count;
}

const gpualloc_process *gpualloc_device_process(const gpualloc_device *device, size_t i)
{
	return i < device->process_count ? &device->processes[i] : NULL;
}

int64_t gpualloc_process_pid(const gpualloc_process *process)
{
	return process->pid;
}

const char *gpualloc_process_type(const gpualloc_process *process)
{
	return ga_process_type_name(process->type);
}

int64_t gpualloc_process_memory(const gpualloc_process *process)
{
	return process->memory;
}

const char *gpualloc_process_user(const gpualloc_process *process)
{
	return process->user;
}

const char *gpualloc_process_name(const gpualloc_process *process)
{
	return process->name;
}
