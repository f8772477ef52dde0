/* SPDX-License-Identifier: Apache-2.0 */
/* What runs on leased devices; see leases.h. */
#include "cleanup.h"
#include "columns.h"
#include "leases.h"
#include "open.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_SHOWN = 40 };

/* A process is listed once, however many of the lease's devices it uses. */
struct use {
	const gpualloc_process *process;
	const char *device; /* the first of them */
	int64_t memory;     /* on all of them; -1 if not known */
	bool is_intruder;
};

struct uses {
	struct use *list;
	size_t count;
	bool is_known; /* completely, and for every device */
};

static void uses_free(struct uses *uses)
{
	free(uses->list);
}

static bool computes(const gpualloc_process *process)
{
	const char *type = gpualloc_process_type(process);

	return !type || strchr(type, 'C');
}

/* What the agent of Kubernetes has is for pods, whose processes are anybody's. */
static bool is_for_pods(const gpualloc_held *held)
{
	const char *command = gpualloc_held_command(held);

	return gpualloc_held_uid(held) == 0 && command && strcmp(command, "gpualloc-k8s") == 0;
}

/* A process belongs there if it has a lease on the device: this one, or one beside or within it. */
static bool is_at_home(const gpualloc_leases *leases, const char *uuid,
		       const gpualloc_process *process)
{
	const char *user = gpualloc_process_user(process);

	for (size_t i = 0; i < gpualloc_leases_held_count(leases); i++) {
		const gpualloc_held *held = gpualloc_leases_held(leases, i);
		const char *holder = gpualloc_held_user(held);

		for (size_t d = 0; d < gpualloc_held_device_count(held); d++)
			if (strcmp(gpualloc_held_device(held, d), uuid) == 0 &&
			    (!holder || strcmp(holder, user) == 0 ||
			     (gpualloc_process_in_pod(process) && is_for_pods(held))))
				return true;
	}
	return false;
}

static bool add_use(struct uses *uses, const gpualloc_process *process, const char *uuid,
		    const gpualloc_leases *leases)
{
	int64_t memory = gpualloc_process_memory(process);
	const char *user = gpualloc_process_user(process);
	bool is_intruder = user && !is_at_home(leases, uuid, process);
	struct use *list;

	for (size_t i = 0; i < uses->count; i++) {
		struct use *use = &uses->list[i];

		if (gpualloc_process_pid(use->process) != gpualloc_process_pid(process))
			continue;
		use->memory = use->memory < 0 || memory < 0 ? -1 : use->memory + memory;
		use->is_intruder = use->is_intruder || is_intruder;
		return true;
	}
	list = reallocarray(uses->list, uses->count + 1, sizeof *list);
	if (!list)
		return false;
	uses->list = list;
	list[uses->count++] = (struct use){process, uuid, memory, is_intruder};
	return true;
}

static bool add_uses(struct uses *uses, const struct leases_view *view, const char *uuid)
{
	const gpualloc_device *device = find_device(view->machine, uuid);

	if (!device || !gpualloc_device_processes_known(device) ||
	    gpualloc_device_processes_hidden(device))
		uses->is_known = false;
	for (size_t p = 0; device && p < gpualloc_device_process_count(device); p++) {
		const gpualloc_process *process = gpualloc_device_process(device, p);

		if (computes(process) && !add_use(uses, process, uuid, view->leases))
			return false;
	}
	return true;
}

/* False without memory. */
static bool read_uses(struct uses *uses, const struct leases_view *view, size_t i)
{
	const gpualloc_held *held = gpualloc_leases_held(view->leases, i);
	size_t count = gpualloc_held_device_count(held);
	bool ok = true;

	uses->is_known = view->machine && count > 0;
	for (size_t d = 0; ok && view->machine && d < count; d++)
		ok = add_uses(uses, view, gpualloc_held_device(held, d));
	return ok;
}

/* ---- for a person ---- */

static void add_process(struct ga_buffer *text, const struct use *use)
{
	const char *name = gpualloc_process_name(use->process);
	const char *user = gpualloc_process_user(use->process);

	ga_buffer_format(text, "%lld", (long long)gpualloc_process_pid(use->process));
	if (use->is_intruder) {
		ga_buffer_text(text, " of ");
		columns_foreign(text, user, NAME_SHOWN);
	}
	if (name) {
		ga_buffer_char(text, ' ');
		columns_foreign(text, name, NAME_SHOWN);
	}
	if (use->memory >= 0)
		ga_buffer_format(text, " (%lld MiB)", (long long)(use->memory >> 20));
}

static void add_processes(struct ga_buffer *text, const struct uses *uses, bool intruders,
			  const struct terminal *terminal)
{
	ga_auto_buffer struct ga_buffer line = GA_BUFFER_OUTPUT;
	bool any = false;

	for (size_t i = 0; i < uses->count; i++) {
		if (uses->list[i].is_intruder != intruders)
			continue;
		ga_buffer_text(&line, any ? ", " : intruders ? "intruders: " : "runs: ");
		add_process(&line, &uses->list[i]);
		any = true;
	}
	text->failed = text->failed || line.failed;
	if (!any || line.failed)
		return;
	colour_start(text, terminal, intruders ? COLOUR_RED : COLOUR_NONE);
	columns_wrap(text, line.data, 2, terminal->width, intruders ? 20 : 3);
	colour_end(text, terminal, intruders ? COLOUR_RED : COLOUR_NONE);
}

void leases_use_text(struct ga_buffer *text, const struct leases_view *view, size_t i,
		     const struct terminal *terminal)
{
	ga_cleanup(uses_free) struct uses uses = {0};

	if (!read_uses(&uses, view, i)) {
		text->failed = true;
		return;
	}
	/* Nothing ever runs on a simulated machine. */
	if (uses.is_known && uses.count == 0 && !gpualloc_machine_is_simulated(view->machine))
		ga_buffer_text(text, "  nothing is running there\n");
	add_processes(text, &uses, false, terminal);
	add_processes(text, &uses, true, terminal);
}

/* ---- for a program ---- */

void leases_use_json(struct ga_json *json, const struct leases_view *view, size_t i)
{
	ga_cleanup(uses_free) struct uses uses = {0};

	if (!read_uses(&uses, view, i)) {
		json->out->failed = true;
		return;
	}
	if (!ga_json_open_known(json, "processes", '[', uses.is_known || uses.count > 0))
		return;
	for (size_t u = 0; u < uses.count; u++) {
		const struct use *use = &uses.list[u];

		ga_json_open(json, NULL, '{');
		ga_json_number(json, "pid", gpualloc_process_pid(use->process));
		ga_json_text(json, "user", gpualloc_process_user(use->process));
		ga_json_text(json, "name", gpualloc_process_name(use->process));
		ga_json_number(json, "memory", use->memory);
		ga_json_text(json, "device", use->device);
		ga_json_bool(json, "intruder", use->is_intruder);
		ga_json_close(json, '}');
	}
	ga_json_close(json, ']');
}

/* ---- devices taken out of use ---- */

static bool is_draining(const struct leases_view *view, size_t i, size_t d)
{
	const gpualloc_held *held = gpualloc_leases_held(view->leases, i);
	const gpualloc_device *device = find_device(view->machine, gpualloc_held_device(held, d));

	return device && gpualloc_device_state(device) == GPUALLOC_STATE_DRAINING;
}

void leases_draining_text(struct ga_buffer *text, const struct leases_view *view, size_t i)
{
	size_t count = view->machine
			       ? gpualloc_held_device_count(gpualloc_leases_held(view->leases, i))
			       : 0;
	bool any = false;

	for (size_t d = 0; d < count; d++) {
		if (!is_draining(view, i, d))
			continue;
		ga_buffer_text(text, any ? ", " : "  draining: ");
		columns_foreign(text,
				gpualloc_held_device(gpualloc_leases_held(view->leases, i), d),
				NAME_SHOWN);
		any = true;
	}
	if (any)
		ga_buffer_char(text, '\n');
}

void leases_draining_json(struct ga_json *json, const struct leases_view *view, size_t i)
{
	if (!ga_json_open_known(json, "draining", '[', view->machine != NULL))
		return;
	for (size_t d = 0; d < gpualloc_held_device_count(gpualloc_leases_held(view->leases, i));
	     d++)
		if (is_draining(view, i, d))
			ga_json_text(
				json, NULL,
				gpualloc_held_device(gpualloc_leases_held(view->leases, i), d));
	ga_json_close(json, ']');
}
