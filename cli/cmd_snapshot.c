/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc snapshot: the machine as a file that every command takes as --machine. */
#include "command.h"
#include "message.h"
#include "open.h"
#include "output.h"
#include "owned.h"

#include <string.h>
#include <unistd.h>

static void say_what_was_written(const struct call *call, const gpualloc_machine *machine,
				 size_t size)
{
	ga_auto_buffer struct ga_buffer about = GA_BUFFER_OUTPUT;

	if (isatty(STDERR_FILENO) != 1 || call->value[OPTION_QUIET])
		return;
	add_machine_name(&about, machine);
	ga_buffer_text(&about, ", ");
	add_count(&about, gpualloc_machine_device_count(machine), "GPU");
	if (call->value[OPTION_ANONYMOUS])
		ga_buffer_text(&about, ", without names");
	if (!about.failed)
		say("wrote %s (%s, %zu bytes)", call->value[OPTION_OUTPUT], about.data, size);
}

static int run(const struct call *call)
{
	auto_machine gpualloc_machine *machine = NULL;
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_auto_buffer struct ga_buffer file = GA_BUFFER_OUTPUT;
	const char *path = call->value[OPTION_OUTPUT];
	int result = open_machine(call, &machine);

	if (result)
		return result;
	if (call->value[OPTION_ANONYMOUS])
		result = gpualloc_machine_anonymise(machine, error);
	if (result == 0)
		result = gpualloc_machine_write(machine, &file.data, &file.size, error);
	if (result < 0)
		return fail_error(result, error);
	result = path ? output_save(path, &file) : output_print(&file);
	if (result == 0 && path && strcmp(path, "-") != 0)
		say_what_was_written(call, machine, file.size);
	return result;
}

const struct command command_snapshot = {
	.name = "snapshot",
	.sentence = "save the machine as a file, to look at it elsewhere",
	.description =
		"Writes the machine file (JSON): devices, links and processes as they are now. "
		"Every command takes it as --machine FILE, so somebody elsewhere sees the machine "
		"exactly as it is now, with everything that is wrong with it. With --anonymous you "
		"can pass it on.",
	.example = "gpualloc snapshot --machine dgx1-volta --anonymous",
	.options = (const enum option_id[]){OPTION_ANONYMOUS, OPTION_DEADLINE, OPTION_HELP,
					    OPTION_JSON, OPTION_MACHINE, OPTION_OUTPUT,
					    OPTION_QUIET, OPTION_END},
	.run = run,
};
