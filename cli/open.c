/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a machine for a command; see open.h. */
#include "open.h"

#include "asking.h"
#include "columns.h"
#include "message.h"
#include "owned.h"
#include "suggest.h"

#include <string.h>

/* So that what comes after a long name is still seen. */
enum { NAME_COLUMNS = 36 };

/* A name that is close to a known one, and is not a path. */
static void suggest_machine(const char *spec)
{
	struct suggestion near = {0};
	const char *name;

	if (!spec)
		spec = getenv("GPUALLOC_MACHINE");
	if (!spec || strpbrk(spec, "/."))
		return;
	for (size_t i = 0; (name = gpualloc_spec_name(i)); i++)
		suggest_offer(&near, spec, name);
	if (near.word && near.distance > 0)
		say("did you mean --machine %s?", near.word);
}

int open_machine(const struct call *call, gpualloc_machine **ret_machine)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	const char *note;
	int result = gpualloc_machine_open_waiting(call->value[OPTION_MACHINE], call->deadline_ms,
						   asking_teller(call), NULL, ret_machine, error);

	if (result < 0) {
		result = fail_error(result, error);
		suggest_machine(call->value[OPTION_MACHINE]);
		return result;
	}
	for (size_t i = 0; (note = gpualloc_machine_note(*ret_machine, i)); i++)
		if (!call->value[OPTION_QUIET])
			say("note: %s", note);
	return 0;
}

static void add_machine(struct ga_json *json, const gpualloc_machine *machine)
{
	ga_json_open(json, "machine", '{');
	ga_json_text(json, "name", gpualloc_machine_name(machine));
	ga_json_text(json, "source", gpualloc_machine_source(machine));
	ga_json_text(json, "driver", gpualloc_machine_driver(machine));
	ga_json_bool(json, "simulated", gpualloc_machine_is_simulated(machine));
	ga_json_close(json, '}');
}

void begin_document(struct ga_json *json, const struct call *call)
{
	ga_json_open(json, NULL, '{');
	ga_json_number(json, "schema", 1);
	ga_json_text(json, "command", call->command->name);
}

void end_document(struct ga_json *json)
{
	ga_json_close(json, '}');
	ga_buffer_char(json->out, '\n');
}

void open_document(struct ga_json *json, const struct call *call, const gpualloc_machine *machine)
{
	begin_document(json, call);
	ga_json_line(json, "\n ");
	if (machine)
		add_machine(json, machine);
	else
		ga_json_null(json, "machine");
	ga_json_line(json, "\n ");
}

void add_machine_name(struct ga_buffer *text, const gpualloc_machine *machine)
{
	const char *name = gpualloc_machine_name(machine);

	columns_cut(text, name ? name : "a machine without a name", NAME_COLUMNS);
	if (gpualloc_machine_is_simulated(machine))
		ga_buffer_text(text, " (simulated)");
}

void add_count(struct ga_buffer *text, size_t count, const char *noun)
{
	ga_buffer_format(text, "%zu %s%s", count, noun, count == 1 ? "" : "s");
}

const gpualloc_device *find_device(const gpualloc_machine *machine, const char *uuid)
{
	for (size_t i = 0; i < gpualloc_machine_device_count(machine); i++) {
		const gpualloc_device *device = gpualloc_machine_device(machine, i);
		const char *own = gpualloc_device_uuid(device);

		if (own && strcmp(own, uuid) == 0)
			return device;
		for (size_t m = 0; m < gpualloc_device_mig_count(device); m++) {
			own = gpualloc_device_uuid(gpualloc_device_mig(device, m));
			if (own && strcmp(own, uuid) == 0)
				return gpualloc_device_mig(device, m);
		}
	}
	return NULL;
}
