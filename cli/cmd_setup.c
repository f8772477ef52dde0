/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpualloc setup: makes the store of leases for everybody on this machine, or checks what the
 * administrator has written.
 */
#include "message.h"
#include "open.h"
#include "output.h"
#include "owned.h"
#include "samples.h"
#include "setup_fence.h"
#include "stores.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is in order, or of a store that was removed, is gone: anything else is an error. */
static int print_json(const struct call *call, const char *what, const char *path)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct ga_json json = GA_JSON_INIT(&text);

	begin_document(&json, call);
	ga_json_open(&json, what, '{');
	ga_json_text(&json, "path", path);
	ga_json_bool(&json, "exists", !call->value[OPTION_REMOVE]);
	ga_json_close(&json, '}');
	end_document(&json);
	return output_print(&text);
}

/* ---- the configuration ---- */

/* Whether an index names a device can only be said where there is a machine to ask. */
static int check_alone(const struct call *call, const gpualloc_error *why)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	const char *message = gpualloc_error_message(why);
	int64_t hold_ms;
	int result = gpualloc_max_hold(NULL, &hold_ms, error);

	if (result < 0)
		return fail_error(result, error);
	if (!call->value[OPTION_QUIET])
		say("note: whether its indices and PCI addresses are of this machine was not "
		    "checked: %.*s",
		    (int)strcspn(message, "\n"), message);
	return 0;
}

static int check_on_machine(const struct call *call)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	auto_machine gpualloc_machine *machine = NULL;
	int result;

	if (call->value[OPTION_MACHINE])
		result = open_machine(call, &machine);
	else
		result = gpualloc_machine_open(NULL, call->deadline_ms, &machine, error);
	if (result < 0)
		return check_alone(call, error);
	return result ? result : add_config(call, machine, false);
}

/* The library reads the file that this variable names as if it were the administrator's own. */
static int check_config(const struct call *call)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	const char *path = call->value[OPTION_CONFIG];
	int result;

	if (access(path, R_OK) < 0)
		return fail(STATUS_OUTPUT, "cannot read %s: %s", path, strerror(errno));
	if (setenv("GPUALLOC_CONFIG", path, 1) < 0)
		return fail_memory();
	result = check_on_machine(call);
	if (result)
		return result;
	if (call->value[OPTION_JSON])
		return print_json(call, "configuration", path);
	ga_buffer_format(&text, "the configuration %s is in order\n", path);
	return output_print(&text);
}

/* ---- the store ---- */

/* Everybody's store was made, and nobody has switched on the samples yet. */
static bool is_new_here(const struct call *call)
{
	return !call->value[OPTION_CHECK] && !call->value[OPTION_REMOVE] &&
	       store_is_for_everybody() && store_is_absent(samples_folder());
}

static int check_options(const struct call *call)
{
	int things = !!call->value[OPTION_CHECK] + !!call->value[OPTION_CONFIG] +
		     !!call->value[OPTION_REMOVE];

	if (things > 1)
		return fail_usage(call->command,
				  "only one of --check, --config and --remove can be used at once");
	if (call->value[OPTION_FENCE_ALL] && call->value[OPTION_CONFIG])
		return fail_usage(call->command,
				  "--config only checks a configuration; leave out --fence");
	if (call->value[OPTION_MACHINE] && !call->value[OPTION_CONFIG] &&
	    !call->value[OPTION_FENCE_ALL])
		return fail_usage(call->command,
				  "--machine says for which machine --config checks, or around "
				  "which the --fence is; the store needs none");
	return 0;
}

/* Does to the store what is asked. *ret_state says how it is then. */
static int change_store(const struct call *call, const char *path, const char **ret_state)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	int result = 0;

	if (call->value[OPTION_CHECK]) {
		*ret_state = "is in order";
		result = gpualloc_store_check(path, error);
	} else if (call->value[OPTION_REMOVE]) {
		int spared = setup_fence_spares(path);

		if (spared)
			return spared;
		*ret_state = "is gone";
		result = gpualloc_store_remove(path, error);
	} else {
		*ret_state = "is ready: everybody who may use this machine can lease its GPUs";
		result = gpualloc_store_setup(path, error);
		if (result == 0)
			return setup_fence_follows(call, path);
	}
	return result < 0 ? fail_error(result, error) : 0;
}

static int run(const struct call *call)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	const char *path = gpualloc_store_default(), *state = "";
	int result = check_options(call);

	if (result)
		return result;
	if (call->value[OPTION_FENCE_ALL])
		return setup_fence(call);
	if (call->value[OPTION_CONFIG])
		return check_config(call);
	result = change_store(call, path, &state);
	if (result)
		return result;
	if (call->value[OPTION_JSON])
		return print_json(call, "store", path);
	ga_buffer_format(&text, "the store %s %s\n", path, state);
	if (is_new_here(call))
		ga_buffer_text(&text,
			       "for `gpualloc usage`, which shows GPU-hours and idle leases: "
			       "systemctl enable --now gpualloc-usage.timer\n");
	return output_print(&text);
}

const struct command command_setup = {
	.name = "setup",
	.sentence = "make the store of leases (administrator)",
	.description =
		"Makes the store for the leases of all users: /run/gpualloc, or what "
		"GPUALLOC_STATE_DIR names. Run it as root once after each boot; systemd does so if "
		"gpualloc was installed as a package, or below /usr or /usr/local. A store that is "
		"in order stays as it is. --config only checks a configuration, and names every "
		"mistake with its line; the exit status is then 78. --fence puts a fence around "
		"this machine's GPUs, which the kernel keeps: only root and who has leased a GPU "
		"can open its device nodes.",
	.example = "GPUALLOC_STATE_DIR=./store gpualloc setup",
	.options =
		(const enum option_id[]){OPTION_CHECK, OPTION_CONFIG, OPTION_DEADLINE,
					 OPTION_FENCE_ALL, OPTION_HELP, OPTION_JSON, OPTION_MACHINE,
					 OPTION_QUIET, OPTION_REMOVE, OPTION_END},
	.run = run,
};
