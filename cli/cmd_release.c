/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc release: ends a hold. */
#include "keeper.h"
#include "message.h"

static int run(const struct call *call)
{
	if (keeper_release(call->operands[0]))
		return 0;
	return fail(gpualloc_exit_status(GPUALLOC_EPERM),
		    "no hold of yours is called \"%s\"; `gpualloc leases` shows what there is",
		    call->operands[0]);
}

const struct command command_release = {
	.name = "release",
	.sentence = "end a hold",
	.description = "Ends a hold of one's own before its time. What was started in it with "
		       "run --in keeps the lease until it ends.",
	.example = "gpualloc release $(gpualloc hold --machine dgx1-volta --for 1m)",
	.operand = "LEASE",
	.operands_least = 1,
	.operands_most = 1,
	.options = (const enum option_id[]){OPTION_HELP, OPTION_END},
	.run = run,
};
