/* SPDX-License-Identifier: Apache-2.0 */
/* The host, from /proc and /sys below a root; see host.h. */
#include "host.h"

#include "cleanup.h"
#include "file.h"
#include "text.h"

#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* How many CPUs a list such as "0-15,32-47" names; 0 if it is not a list. */
static int64_t count_cpus(const char *list)
{
	int64_t count = 0, first, last;

	while (*list) {
		size_t length = strcspn(list, ",");
		const char *dash = memchr(list, '-', length);
		size_t head = dash ? (size_t)(dash - list) : length;

		if (!ga_text_number(list, head, 65535, &first))
			return 0;
		last = first;
		if (dash &&
		    (!ga_text_number(dash + 1, length - head - 1, 65535, &last) || last < first))
			return 0;
		count += last - first + 1;
		list += length + (list[length] == ',');
	}
	return count;
}

static int64_t count_in(const char *root, const char *path)
{
	char list[4096];

	return ga_file_peek(root, path, list, sizeof list) > 0 ? count_cpus(list) : 0;
}

int ga_host_describe(const char *root, gpualloc_machine *machine)
{
	static const char *const topology = "/sys/devices/system/cpu/cpu0/topology/";
	char path[128], name[256];
	int64_t all = count_in(root, "/sys/devices/system/cpu/online"), package, threads;

	(void)snprintf(path, sizeof path, "%spackage_cpus_list", topology);
	package = count_in(root, path);
	(void)snprintf(path, sizeof path, "%score_cpus_list", topology);
	threads = count_in(root, path);
	if (all > 0 && package > 0 && threads > 0 && all >= package && package >= threads) {
		machine->sockets = all / package;
		machine->cores_per_socket = package / threads;
		machine->threads_per_core = threads;
	}
	if (!machine->name &&
	    ga_file_peek(root, "/proc/sys/kernel/hostname", name, sizeof name) > 0)
		return ga_set_text(&machine->name, name);
	return 0;
}

/* The file's first line, if the PCI device has it; Linux writes domains with four digits. */
bool ga_host_pci_attribute(const char *root, const char *pci, const char *attribute, char *text,
			   size_t size)
{
	char path[96], address[24];
	size_t leading = strspn(pci, "0");

	(void)snprintf(address, sizeof address, "%s", pci + (leading < 4 ? leading : 4));
	for (char *c = address; *c; c++)
		*c = *c >= 'A' && *c <= 'F' ? (char)(*c - 'A' + 'a') : *c;
	(void)snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/%s", address, attribute);
	return ga_file_peek(root, path, text, size) > 0;
}

/* "MemTotal:  123 kB" of /proc/meminfo in bytes. */
static int64_t meminfo(const char *text, const char *name)
{
	const char *line = strstr(text, name);
	int64_t number = GA_UNKNOWN;

	if (!line)
		return GA_UNKNOWN;
	line += strlen(name);
	line += strspn(line, " \t");
	if (!ga_text_number(line, strspn(line, "0123456789"), INT64_C(1) << 46, &number))
		return GA_UNKNOWN;
	return number << 10;
}

int ga_host_unified_memory(const char *root, gpualloc_machine *machine)
{
	char text[4096];
	int64_t total = GA_UNKNOWN, available = GA_UNKNOWN;
	size_t unified = 0;

	if (ga_file_peek(root, "/proc/meminfo", text, sizeof text) > 0) {
		total = meminfo(text, "MemTotal:");
		available = meminfo(text, "MemAvailable:");
	}
	for (size_t i = 0; i < machine->device_count; i++) {
		struct gpualloc_device *device = &machine->devices[i];

		if (!device->memory_unified)
			continue;
		unified++;
		device->memory = (struct ga_memory){total, GA_UNKNOWN, GA_UNKNOWN};
		if (total >= 0 && available >= 0)
			device->memory.used = available < total ? total - available : 0;
	}
	if (unified == 0)
		return 0;
	return ga_machine_note(machine,
			       "the GPU and the CPUs share one memory: the system's numbers are "
			       "shown, but memory in use does not show who uses the GPU; processes "
			       "and leases decide whether it is free");
}

int ga_host_places(const char *root, gpualloc_machine *machine)
{
	char text[1024];

	for (size_t i = 0; i < machine->device_count; i++) {
		struct gpualloc_device *device = &machine->devices[i];

		if (!device->pci)
			continue;
		if (device->numa < 0 &&
		    ga_host_pci_attribute(root, device->pci, "numa_node", text, sizeof text))
			(void)ga_text_number(text, strlen(text), INT16_MAX, &device->numa);
		if (!device->cpus &&
		    ga_host_pci_attribute(root, device->pci, "local_cpulist", text, sizeof text) &&
		    ga_set_text(&device->cpus, text) < 0)
			return GPUALLOC_ENOMEM;
	}
	return 0;
}

bool ga_host_sees_all_processes(const char *root)
{
	char path[PATH_MAX], link[64];
	ssize_t length;

	/* Under WSL 2 the list lacks programs of Windows and of other distributions. */
	if (ga_file_exists(root, "/dev/dxg"))
		return false;
	if ((size_t)snprintf(path, sizeof path, "%s/proc/self/ns/pid", root) >= sizeof path)
		return false;
	length = readlink(path, link, sizeof link - 1);
	if (length < 0)
		return false;
	link[length] = '\0';
	return strcmp(link, "pid:[4026531836]") == 0;
}

static int look_up_user(const char *root, int64_t pid, char **user)
{
	char path[PATH_MAX], room[4096], number[16];
	struct passwd entry, *found = NULL;
	struct stat status;

	if ((size_t)snprintf(path, sizeof path, "%s/proc/%lld", root, (long long)pid) >=
		    sizeof path ||
	    stat(path, &status) < 0)
		return 0;
	(void)getpwuid_r(status.st_uid, &entry, room, sizeof room, &found);
	if (found)
		return ga_set_text(user, found->pw_name);
	(void)snprintf(number, sizeof number, "%u", (unsigned)status.st_uid);
	return ga_set_text(user, number);
}

/*
 * Whether one of its control groups is a kubelet's: /kubepods… or, where the kubelet is in one
 * itself, /kubelet…/kubepods…. What users may make for themselves lies below /user.slice.
 */
static bool is_in_pod(const char *root, int64_t pid)
{
	char path[64], text[4096];
	struct ga_view rest = {.text = text}, line;
	long size;

	(void)snprintf(path, sizeof path, "/proc/%lld/cgroup", (long long)pid);
	size = ga_file_peek(root, path, text, sizeof text);
	rest.size = size > 0 ? (size_t)size : 0;
	while (ga_view_line(&rest, &line)) {
		const char *group = memchr(line.text, '/', line.size);
		size_t left = group ? line.size - (size_t)(group - line.text) : 0;

		if (group && memmem(group, left, "/kube", 5) == group &&
		    memmem(group, left, "kubepods", 8))
			return true;
	}
	return false;
}

static int complete_processes(const char *root, struct gpualloc_device *device)
{
	char path[64], name[64];

	for (size_t i = 0; i < device->process_count; i++) {
		struct gpualloc_process *process = &device->processes[i];

		process->in_pod = process->in_pod || is_in_pod(root, process->pid);
		(void)snprintf(path, sizeof path, "/proc/%lld/comm", (long long)process->pid);
		if (!process->user && look_up_user(root, process->pid, &process->user) < 0)
			return GPUALLOC_ENOMEM;
		if (!process->name && ga_file_peek(root, path, name, sizeof name) > 0 &&
		    ga_set_text(&process->name, name) < 0)
			return GPUALLOC_ENOMEM;
	}
	return 0;
}

int ga_host_processes(const char *root, gpualloc_machine *machine)
{
	bool all = ga_host_sees_all_processes(root);
	int result = 0;

	for (size_t i = 0; result == 0 && i < machine->device_count; i++) {
		struct gpualloc_device *device = &machine->devices[i];

		device->processes_hidden = device->processes_hidden || !all;
		if (all)
			result = complete_processes(root, device);
		for (size_t m = 0; result == 0 && m < device->mig_count; m++) {
			device->mig[m].processes_hidden = device->mig[m].processes_hidden || !all;
			if (all)
				result = complete_processes(root, &device->mig[m]);
		}
	}
	return result;
}

/* Variables that a user sets for other programs are not for us: some make the library refuse most
 * calls. */
void ga_host_forget_nvml_settings(void)
{
	for (char **entry = environ; entry && *entry;) {
		char name[128];
		size_t length = strcspn(*entry, "=");

		if (!ga_text_starts(*entry, "NVML_") || length >= sizeof name) {
			entry++;
			continue;
		}
		memcpy(name, *entry, length);
		name[length] = '\0';
		/* The next variable takes its place. */
		if (unsetenv(name) < 0)
			entry++;
	}
}
