/* SPDX-License-Identifier: Apache-2.0 */
/* The log (-q -x) and the matrix (topo -m) of the nvidia-smi of our own. */
#include "nvidia_smi.h"

#include <stdio.h>
#include <string.h>

/* ---- the log ---- */

static void write_escaped(const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&': printf("&amp;"); break;
		case '<': printf("&lt;"); break;
		case '>': printf("&gt;"); break;
		default: putchar(*text);
		}
	}
}

static void element(const char *name, const char *text)
{
	printf("\t\t<%s>", name);
	write_escaped(text ? text : "N/A");
	printf("</%s>\n", name);
}

static void number_element(const char *name, int64_t number)
{
	char text[32];

	(void)snprintf(text, sizeof text, "%lld", (long long)number);
	element(name, number < 0 ? NULL : text);
}

static void memory_element(const char *name, int64_t bytes)
{
	char text[32];

	(void)snprintf(text, sizeof text, "%lld MiB", (long long)(bytes >> 20));
	element(name, bytes < 0 ? NULL : text);
}

static void write_memory(const struct play *play, const struct gpualloc_device *device)
{
	const struct gpualloc_device *whole = device->parent ? device->parent : device;
	bool secret = play->no_mig_permission && device->mig_enabled;
	bool reset = whole->index == play->needs_reset;

	printf("\t\t<fb_memory_usage>\n");
	if (secret || reset) {
		element("total", secret ? "Insufficient Permissions" : "GPU requires reset");
	} else {
		memory_element("total", device->memory.total);
		if (play->driver >= 510)
			memory_element("reserved", device->memory.reserved);
		memory_element("used", play_used(play, device));
	}
	printf("\t\t</fb_memory_usage>\n");
}

static void write_instances(const struct play *play, const struct gpualloc_device *device)
{
	size_t count = device->mig_count;

	if (play->instances_vanish && count > 0)
		count--;
	if (count == 0) {
		printf("\t\t<mig_devices>\n\t\t\tNone\n\t\t</mig_devices>\n");
		return;
	}
	printf("\t\t<mig_devices>\n");
	for (size_t i = 0; i < count; i++) {
		printf("\t\t<mig_device>\n");
		number_element("index", (int64_t)i);
		number_element("gpu_instance_id", device->mig[i].gi);
		number_element("compute_instance_id", device->mig[i].ci);
		write_memory(play, &device->mig[i]);
		printf("\t\t</mig_device>\n");
	}
	printf("\t\t</mig_devices>\n");
}

static void write_processes_of(const struct gpualloc_device *device)
{
	for (size_t i = 0; i < device->process_count; i++) {
		const struct gpualloc_process *process = &device->processes[i];

		printf("\t\t<process_info>\n");
		number_element("gpu_instance_id", device->gi);
		number_element("compute_instance_id", device->ci);
		number_element("pid", process->pid);
		element("type", ga_process_type_name(process->type));
		element("process_name", process->name ? process->name : "[Not Found]");
		memory_element("used_memory", process->memory);
		printf("\t\t</process_info>\n");
	}
}

static void write_processes(const struct play *play, const struct gpualloc_device *device)
{
	if (play->no_mig_permission && device->mig_enabled) {
		element("processes", "Insufficient Permissions");
		return;
	}
	if (!device->processes_known) {
		element("processes", NULL);
		return;
	}
	printf("\t\t<processes>\n");
	write_processes_of(device);
	for (size_t i = 0; i < device->mig_count; i++)
		write_processes_of(&device->mig[i]);
	printf("\t\t</processes>\n");
}

static void write_health(const struct play *play, const struct gpualloc_device *device)
{
	bool reset = device->health == GPUALLOC_HEALTH_NEEDS_RESET;

	printf("\t\t<retired_pages>\n");
	element(play->driver < 460 ? "pending_blacklist" : "pending_retirement",
		device->health == GPUALLOC_HEALTH_RETIRED_PENDING ? "Yes" : "No");
	printf("\t\t</retired_pages>\n\t\t<remapped_rows>\n");
	element("remapped_row_failure",
		device->health == GPUALLOC_HEALTH_ROW_REMAP_FAILED ? "Yes" : "No");
	printf("\t\t</remapped_rows>\n");
	if (play->driver >= 570) {
		element("gpu_recovery_action", reset ? "Reset" : "None");
		return;
	}
	printf("\t\t<gpu_reset_status>\n");
	element("reset_required", reset ? "Yes" : "No");
	printf("\t\t</gpu_reset_status>\n");
}

static void write_gpu(const struct play *play, const struct gpualloc_device *device)
{
	static const char *const modes[] = {"Default", "Exclusive_Thread", "Prohibited",
					    "Exclusive_Process"};
	bool reset = device->index == play->needs_reset;

	printf("\t<gpu id=\"%s\">\n", device->pci ? device->pci : "N/A");
	element("product_name", device->name);
	element("display_mode",
		play->driver >= 580 ? "Requested functionality has been deprecated" : "Disabled");
	element("display_active", device->display < 0 ? NULL
				  : device->display   ? "Enabled"
						      : "Disabled");
	if (play->driver >= 450) {
		printf("\t\t<mig_mode>\n");
		element("current_mig", device->mig_enabled ? "Enabled" : "Disabled");
		printf("\t\t</mig_mode>\n");
		write_instances(play, device);
	}
	element("serial", device->serial);
	element("uuid", device->uuid);
	number_element("minor_number", device->minor);
	printf("\t\t<pci>\n");
	element("pci_bus_id", device->pci);
	printf("\t\t</pci>\n");
	write_memory(play, device);
	element("compute_mode",
		device->compute_mode == GA_COMPUTE_UNKNOWN ? NULL : modes[device->compute_mode]);
	printf("\t\t<utilization>\n");
	if (reset)
		element("gpu_util", "GPU requires reset");
	else
		number_element("gpu_util", device->mig_enabled ? -1 : device->utilization);
	printf("\t\t</utilization>\n");
	write_health(play, device);
	write_processes(play, device);
	printf("\t\t<accounted_processes>\n\t\t</accounted_processes>\n\t</gpu>\n\n");
}

void write_log(const struct play *play)
{
	printf("<?xml version=\"1.0\" ?>\n"
	       "<!DOCTYPE nvidia_smi_log SYSTEM \"nvsmi_device_v%d.dtd\">\n"
	       "<nvidia_smi_log>\n"
	       "\t<timestamp>Tue Mar  4 05:06:07 2025</timestamp>\n",
	       play->driver < 470   ? 10
	       : play->driver < 580 ? 12
				    : 13);
	element("driver_version", play->machine->driver);
	number_element("attached_gpus", (int64_t)play->machine->device_count);
	for (size_t i = 0; i < play->machine->device_count; i++) {
		play_reach(play, &play->machine->devices[i]);
		if (!play_is_lost(&play->machine->devices[i]))
			write_gpu(play, &play->machine->devices[i]);
	}
	printf("</nvidia_smi_log>\n");
}

/* ---- the matrix ---- */

static void write_link(const struct ga_links *links, size_t i, size_t j)
{
	int nvlinks = ga_links_nvlinks(links, i, j);
	enum gpualloc_level level = ga_links_level(links, i, j);

	if (i == j)
		printf("\t X ");
	else if (nvlinks > 0)
		printf("\tNV%d", nvlinks);
	else
		printf("\t%s", level == GPUALLOC_LEVEL_UNKNOWN ? "N/A"
			       : level == GPUALLOC_LEVEL_BOARD ? "PIX"
							       : ga_level_name(level));
}

static void write_affinity(const struct play *play, const struct gpualloc_device *device)
{
	printf("\t%s\t", device->cpus ? device->cpus : "N/A");
	if (device->numa < 0)
		printf("N/A");
	else
		printf("%lld", (long long)device->numa);
	printf("%s\n", play->driver >= 535 ? "\t\tN/A" : "");
}

void write_matrix(const struct play *play)
{
	static const char legend[] =
		"\nLegend:\n\n"
		"  X    = Self\n"
		"  SYS  = Connection traversing PCIe as well as the SMP interconnect between NUMA "
		"nodes (e.g., QPI/UPI)\n"
		"  NODE = Connection traversing PCIe as well as the interconnect between PCIe Host "
		"Bridges within a NUMA node\n"
		"  PHB  = Connection traversing PCIe as well as a PCIe Host Bridge (typically the "
		"CPU)\n"
		"  PXB  = Connection traversing multiple PCIe bridges (without traversing the PCIe "
		"Host Bridge)\n"
		"  PIX  = Connection traversing at most a single PCIe bridge\n"
		"  NV#  = Connection traversing a bonded set of # NVLinks\n";
	const gpualloc_machine *machine = play->machine;

	printf("\t\033[4m");
	for (size_t i = 0; i < machine->device_count; i++)
		if (!play_is_lost(&machine->devices[i]))
			printf("GPU%lld\t", (long long)machine->devices[i].index);
	printf("CPU Affinity\tNUMA Affinity%s\033[0m\n",
	       play->driver >= 535 ? "\tGPU NUMA ID" : "");
	for (size_t i = 0; i < machine->device_count; i++) {
		play_reach(play, &machine->devices[i]);
		if (play_is_lost(&machine->devices[i]))
			continue;
		printf("GPU%lld", (long long)machine->devices[i].index);
		for (size_t j = 0; j < machine->device_count; j++)
			if (!play_is_lost(&machine->devices[j]))
				write_link(&machine->links, i, j);
		write_affinity(play, &machine->devices[i]);
	}
	printf("%s", legend);
}

void write_p2p(const struct play *play)
{
	static const char *const words[] = {
		[GPUALLOC_P2P_UNKNOWN] = "U", [GPUALLOC_P2P_OK] = "OK", [GPUALLOC_P2P_NO] = "CNS"};
	const gpualloc_machine *machine = play->machine;

	printf(" \t");
	for (size_t i = 0; i < machine->device_count; i++)
		if (!play_is_lost(&machine->devices[i]))
			printf("\033[4mGPU%lld\t", (long long)machine->devices[i].index);
	printf("\033[0m\n");
	for (size_t i = 0; i < machine->device_count; i++) {
		play_reach(play, &machine->devices[i]);
		if (play_is_lost(&machine->devices[i]))
			continue;
		printf(" GPU%lld\t", (long long)machine->devices[i].index);
		for (size_t j = 0; j < machine->device_count; j++)
			if (!play_is_lost(&machine->devices[j]))
				printf("%s\t",
				       i == j ? "X"
					      : words[ga_links_p2p_read(&machine->links, i, j)]);
		printf("\n");
	}
	printf("\nLegend:\n\n  X    = Self\n  OK   = Status Ok\n  CNS  = Chipset not supported\n"
	       "  GNS  = GPU not supported\n  TNS  = Topology not supported\n"
	       "  NS   = Not supported\n  U    = Unknown\n");
}
