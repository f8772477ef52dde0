/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc list: the devices, who uses them, and whether you can have them. */
#include "list.h"
#include "message.h"
#include "open.h"
#include "output.h"
#include "owned.h"
#include "stores.h"

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

static int run(const struct call *call)
{
	auto_machine gpualloc_machine *machine = NULL;
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct terminal terminal = terminal_of(STDOUT_FILENO);
	int result;

	if (call->value[OPTION_JSON] && call->value[OPTION_CSV])
		return fail_usage(call->command, "--json and --csv are two formats; use one of "
						 "them");
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
		list_json(&text, call, machine);
	else if (call->value[OPTION_CSV])
		list_csv(&text, machine);
	else
		list_text(&text, machine, &terminal);
	return output_print(&text);
}

const struct command command_list = {
	.name = "list",
	.sentence = "the devices: state, memory, who uses them",
	.description =
		"Shows every GPU and, under it, its MIG instances: whether it is free and if not, "
		"why; memory used and total; utilization; how many processes use it; and enough of "
		"its UUID to tell it from the others. \"-\" means not known. On a machine without "
		"a GPU the exit status is 69.",
	.example = "gpualloc list --machine a100-mig",
	.options = (const enum option_id[]){OPTION_CSV, OPTION_DEADLINE, OPTION_HELP, OPTION_JSON,
					    OPTION_MACHINE, OPTION_QUIET, OPTION_END},
	.run = run,
};
