/* SPDX-License-Identifier: Apache-2.0 */
/* A device in words; see describe.h. */
#include "describe.h"

#include "device_id.h"
#include "device_state.h"
#include "size.h"

static void text_line(struct ga_buffer *out, const char *label, const char *text)
{
	if (text)
		ga_buffer_format(out, "  %-18s %s\n", label, text);
}

static void number_line(struct ga_buffer *out, const char *label, int64_t number)
{
	if (number >= 0)
		ga_buffer_format(out, "  %-18s %lld\n", label, (long long)number);
}

static void size_line(struct ga_buffer *out, const char *label, int64_t bytes)
{
	char text[GA_SIZE_TEXT];

	if (bytes >= 0)
		text_line(out, label, ga_size_text(bytes, text));
}

static void describe_links(const gpualloc_machine *machine, size_t place, struct ga_buffer *out)
{
	for (size_t i = 0; i < machine->device_count; i++) {
		int nvlinks = ga_links_nvlinks(&machine->links, place, i);

		if (i == place)
			continue;
		ga_buffer_format(out, "  link to %-10lld %s", (long long)machine->devices[i].index,
				 ga_level_name(ga_links_level(&machine->links, place, i)));
		if (nvlinks > 0)
			ga_buffer_format(out, ", %d NVLink%s", nvlinks, nvlinks > 1 ? "s" : "");
		ga_buffer_char(out, '\n');
	}
}

void ga_describe_device(const gpualloc_machine *machine, const gpualloc_device *device,
			struct ga_buffer *out)
{
	char id[GA_DEVICE_ID_SIZE], reason[256];

	ga_buffer_format(out, "%s %s\n", device->parent ? "MIG instance" : "GPU",
			 ga_device_id(device, id));
	text_line(out, "name", device->name);
	text_line(out, "profile", device->profile);
	text_line(out, "UUID", device->uuid);
	text_line(out, "PCI address", device->pci);
	number_line(out, "NUMA node", device->numa);
	text_line(out, "CPUs", device->cpus);
	size_line(out, "memory", device->memory.total);
	size_line(out, "memory reserved", device->memory.reserved);
	size_line(out, "memory used", device->memory.used);
	number_line(out, "utilization %", device->utilization);
	text_line(out, "compute mode", ga_compute_mode_name(device->compute_mode));
	text_line(out, "health", device->parent ? NULL : ga_health_name(device->health));
	text_line(out, "state", ga_state_name(ga_device_state(device)));
	if (ga_device_reason(device, reason, sizeof reason) > 0)
		text_line(out, "because", reason);
	number_line(out, "MIG instances", device->mig_enabled ? (int64_t)device->mig_count : -1);
	for (size_t i = 0; i < machine->device_count; i++)
		if (&machine->devices[i] == device)
			describe_links(machine, i, out);
}
