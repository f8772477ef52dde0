/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc mcp: for programs that ask. */
#include "mcp/session.h"
#include "message.h"

#include <unistd.h>

static int run(const struct call *call)
{
	if (isatty(STDIN_FILENO) == 1)
		return fail_usage(call->command,
				  "this is for programs: a client of the Model Context "
				  "Protocol starts it and speaks with it through its "
				  "standard input and output; docs/AGENTS.md shows how");
	return serve(call);
}

const struct command command_mcp = {
	.name = "mcp",
	.sentence = "a server for programs that ask on your behalf",
	.description =
		"Speaks the Model Context Protocol on standard input and output, so that a program, "
		"such as a coding agent, can list GPUs, lease them for a time and run commands there. "
		"Its leases are shown as those of an agent, and agent-max-devices and agent-max-hold "
		"in /etc/gpualloc.conf limit them. Whatever it holds ends with it, however it ends. "
		"A client starts it; it listens on no network.",
	.example = "echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}' | gpualloc mcp",
	.options = (const enum option_id[]){OPTION_HELP, OPTION_MACHINE, OPTION_END},
	.gives = true,
	.run = run,
};
