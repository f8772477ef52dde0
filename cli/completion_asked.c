/* SPDX-License-Identifier: Apache-2.0 */
/* What completion scripts ask for: this machine's devices and leases; see completion.h. */
#include "columns.h"
#include "completion.h"
#include "device.h"
#include "hosts/hosts.h"
#include "lease_find.h"
#include "message.h"
#include "open.h"
#include "output.h"
#include "owned.h"
#include "stores.h"
#include "text.h"

#include <string.h>
#include <unistd.h>

/* So that a line is still one where a shell shows it. */
enum { TEXT_COLUMNS = 36 };

/* ---- devices ---- */

/* "2" is in "0-3". */
static bool is_in_range(const gpualloc_device *device, struct ga_view part)
{
	const char *dash = part.size ? memchr(part.text, '-', part.size) : NULL;
	int64_t first, last, index = gpualloc_device_index(device);
	size_t length = dash ? (size_t)(dash - part.text) : 0;

	return dash && !gpualloc_device_parent(device) &&
	       ga_text_number(part.text, length, INT32_MAX, &first) &&
	       ga_text_number(dash + 1, part.size - length - 1, INT32_MAX, &last) &&
	       index >= first && index <= last;
}

static bool is_named(const gpualloc_device *device, const char *id, struct ga_view list)
{
	const char *uuid = gpualloc_device_uuid(device), *pci = gpualloc_device_pci(device);

	while (list.size > 0) {
		const char *comma = memchr(list.text, ',', list.size);
		size_t length = comma ? (size_t)(comma - list.text) : list.size;
		struct ga_view part = {list.text, length};

		if (ga_text_equal(part.text, part.size, id) || is_in_range(device, part) ||
		    (uuid && ga_text_equal(part.text, part.size, uuid)) ||
		    (pci && ga_text_equal(part.text, part.size, pci)))
			return true;
		length += comma ? 1 : 0;
		list = (struct ga_view){list.text + length, list.size - length};
	}
	return false;
}

/* The part of a list that is finished, and how its last id begins. */
struct typed {
	struct ga_view done;
	const char *last;
	bool wants_uuid;
};

static const char *state_of(const gpualloc_device *device)
{
	return gpualloc_device_mig_enabled(device) > 0
		       ? "in MIG mode"
		       : gpualloc_state_name(gpualloc_device_state(device));
}

static void add_device(struct ga_buffer *text, const struct typed *typed,
		       const gpualloc_device *device)
{
	const gpualloc_device *gpu = gpualloc_device_parent(device);
	const char *uuid = gpualloc_device_uuid(device);
	const char *name = gpualloc_device_name(gpu ? gpu : device);
	const char *profile = gpualloc_device_profile(device);
	char id[ID_SIZE];
	const char *word = typed->wants_uuid ? uuid : device_id(device, id);

	if (!word || !ga_text_starts(word, typed->last) ||
	    is_named(device, device_id(device, id), typed->done))
		return;
	ga_buffer_append(text, typed->done.text, typed->done.size);
	ga_buffer_format(text, "%s\t%s%s%s, %s\n", word, name ? name : "GPU", profile ? " " : "",
			 profile ? profile : "", state_of(device));
}

/* A GPU in MIG mode cannot be had itself, but names its instances, so it is offered too. */
static void add_devices(struct ga_buffer *text, const struct typed *typed,
			const gpualloc_machine *machine)
{
	for (size_t i = 0; i < gpualloc_machine_device_count(machine); i++) {
		const gpualloc_device *gpu = gpualloc_machine_device(machine, i);
		char id[ID_SIZE];

		if (is_named(gpu, device_id(gpu, id), typed->done))
			continue;
		add_device(text, typed, gpu);
		for (size_t m = 0; m < gpualloc_device_mig_count(gpu); m++)
			add_device(text, typed, gpualloc_device_mig(gpu, m));
	}
}

int completion_devices(const struct call *call, const char *typed)
{
	auto_machine gpualloc_machine *machine = NULL;
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	const char *comma = strrchr(typed, ','), *last = comma ? comma + 1 : typed;
	struct typed parts = {.done = {typed, (size_t)(last - typed)},
			      .last = last,
			      .wants_uuid = *last == 'G' || *last == 'M'};
	int result = open_machine(call, &machine);

	if (result == 0)
		result = add_config(call, machine, true);
	if (result == 0)
		result = add_leases(call, machine);
	if (result)
		return result;
	add_devices(&text, &parts, machine);
	return output_print(&text);
}

/* ---- leases ---- */

static void add_lease(struct ga_buffer *text, const gpualloc_held *held)
{
	const char *id = gpualloc_held_id(held), *user = gpualloc_held_user(held);
	const char *command = gpualloc_held_command(held), *note = gpualloc_held_note(held);

	if (!id || (gpualloc_held_uid(held) != (int64_t)geteuid() && geteuid() != 0))
		return;
	ga_buffer_format(text, "%s\t%s: ", id, user ? user : "?");
	columns_cut(text, command ? command : "?", TEXT_COLUMNS);
	if (note) {
		ga_buffer_text(text, ", ");
		columns_cut(text, note, TEXT_COLUMNS);
	}
	ga_buffer_char(text, '\n');
}

int completion_leases(const struct call *call)
{
	ga_cleanup(lease_stores_free) struct lease_stores stores = {0};
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	int result = lease_stores_open(call, &stores);

	for (size_t s = 0; result == 0 && s < stores.count; s++) {
		auto_error gpualloc_error *error = gpualloc_error_new();
		auto_leases gpualloc_leases *leases = NULL;

		result = gpualloc_leases_read(stores.list[s], &leases, error);
		if (result < 0)
			return fail_error(result, error);
		for (size_t i = 0; i < gpualloc_leases_held_count(leases); i++)
			add_lease(&text, gpualloc_leases_held(leases, i));
	}
	return result ? result : output_print(&text);
}

/* ---- hosts ---- */

static bool is_said(const struct hosts *hosts, size_t end, size_t groups, const char *group)
{
	for (size_t i = 0; i <= end; i++)
		for (size_t g = 0; g < (i < end ? hosts->list[i].group_count : groups); g++)
			if (strcmp(hosts->list[i].groups[g], group) == 0)
				return true;
	return false;
}

int completion_hosts(void)
{
	auto_hosts struct hosts hosts = {0};
	ga_auto_free char *path = NULL;
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	int result = hosts_read(&hosts, &path);

	if (result)
		return result;
	if (hosts.count > 0)
		ga_buffer_format(&text, "all\tall %zu\n", hosts.count);
	for (size_t i = 0; i < hosts.count; i++) {
		ga_buffer_format(&text, "%s\thost\n", hosts.list[i].name);
		for (size_t g = 0; g < hosts.list[i].group_count; g++)
			if (!is_said(&hosts, i, g, hosts.list[i].groups[g]))
				ga_buffer_format(&text, "%s\tgroup\n", hosts.list[i].groups[g]);
	}
	return output_print(&text);
}
