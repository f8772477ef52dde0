/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc list: the devices, who uses them, and whether you can have them. */
#include "list.h"
#include "message.h"
#include "open.h"
#include "output.h"
#include "owned.h"
#include "stores.h"
#include "watch.h"

#include <pwd.h>
#include <unistd.h>

/* This exit status answers the question whether there are GPUs at all. */
static int no_gpus(const gpualloc_machine *machine)
{
	const char *source = gpualloc_machine_source(machine);
	const char *driver = gpualloc_machine_driver(machine);

	return fail(gpualloc_exit_status(GPUALLOC_ENOSOURCE),
		    "there is no GPU on this "
		    "machine%s%s%s%s",
		    source ? ": source " : "", source ? source : "",
		    source && driver ? ", driver " : "", source && driver ? driver : "");
}

static int read_filter(const struct call *call, struct list_filter *filter)
{
	const struct passwd *me;

	filter->only_free = call->value[OPTION_FREE] != NULL;
	filter->user = call->value[OPTION_USER];
	if (filter->only_free && (filter->user || call->value[OPTION_MINE]))
		return fail_usage(call->command, "--free shows what nobody has; leave out --%s",
				  filter->user ? "user" : "mine");
	if (!call->value[OPTION_MINE])
		return 0;
	if (filter->user)
		return fail_usage(call->command, "--mine and --user name two people; use one of "
						 "them");
	me = getpwuid(geteuid());
	if (!me)
		return fail(gpualloc_exit_status(GPUALLOC_EIO),
			    "this user has no name on this machine; use --user \"uid %u\"",
			    (unsigned)geteuid());
	filter->user = me->pw_name;
	return 0;
}

static int run(const struct call *call)
{
	struct list_filter filter = {0};
	auto_machine gpualloc_machine *machine = NULL;
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct terminal terminal = terminal_of(STDOUT_FILENO);
	int result;

	if (call->value[OPTION_JSON] && call->value[OPTION_CSV])
		return fail_usage(call->command, "--json and --csv are two formats; use one of "
						 "them");
	if (call->value[OPTION_INTERVAL] && !call->value[OPTION_WATCH])
		return fail_usage(call->command, "--interval says how often --watch looks; give "
						 "that too");
	if (call->value[OPTION_WATCH])
		return watch(call);
	result = read_filter(call, &filter);
	if (result == 0)
		result = open_machine(call, &machine);
	if (result)
		return result;
	if (gpualloc_machine_device_count(machine) == 0)
		return no_gpus(machine);
	result = add_config(call, machine, true);
	if (result == 0)
		result = add_leases(call, machine);
	if (result)
		return result;
	if (call->value[OPTION_JSON])
		list_json(&text, call, machine, &filter);
	else if (call->value[OPTION_CSV])
		list_csv(&text, machine, &filter);
	else
		list_text(&text, machine, &filter,
			  call->value[OPTION_VERBOSE] || !terminal.is_terminal, &terminal);
	return output_print(&text);
}

const struct command command_list = {
	.name = "list",
	.sentence = "the devices: state, memory, who uses them",
	.description =
		"Shows every GPU and, under it, its MIG instances: whether it is free, memory used "
		"and total, utilization; who has it since when, and what runs there; where there is "
		"room, how many processes use it and enough of its UUID to tell it from the others. "
		"-v adds a sentence for each reason why devices are not free; elsewhere than on a "
		"terminal it is always there. --free, --mine and --user show only some devices. "
		"--watch keeps showing them all, with the last minute of each and who waits. "
		"\"-\" means not known. On a machine without a GPU the exit status is 69.",
	.example = "gpualloc list --machine a100-mig",
	.options = (const enum option_id[]){OPTION_CSV, OPTION_DEADLINE, OPTION_FREE, OPTION_HELP,
					    OPTION_INTERVAL, OPTION_JSON, OPTION_MACHINE,
					    OPTION_MINE, OPTION_ON, OPTION_QUIET, OPTION_USER,
					    OPTION_VERBOSE, OPTION_WATCH, OPTION_END},
	.run = run,
};
