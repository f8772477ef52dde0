/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc help [COMMAND] */
#include "command.h"
#include "output.h"
#include "usage.h"

static int run(const struct call *call)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	const struct command *about = NULL;

	if (call->operand_count > 0) {
		about = command_find(call->commands, call->operands[0]);
		if (!about)
			return unknown_command(call->commands, call->operands[0]);
	}
	if (about)
		usage_of_command(&text, about);
	else
		usage_of_all(&text, call->commands);
	return output_print(&text);
}

const struct command command_help = {
	.name = "help",
	.sentence = "the commands, or what one of them does",
	.description = "Lists the commands, or shows one command with its options and an example, "
		       "as gpualloc COMMAND --help does.",
	.example = "gpualloc help topo",
	.operand = "[COMMAND]",
	.operands_most = 1,
	.complete = COMPLETE_COMMAND,
	.aside = true,
	.options = (const enum option_id[]){OPTION_HELP, OPTION_END},
	.run = run,
};
