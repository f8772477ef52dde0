/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc slurm: the files with which Slurm is told of GPUs, written and checked. */
#include "message.h"
#include "slurm.h"

#include <string.h>

const char *slurm_root(const struct call *call, const gpualloc_machine *machine)
{
	const char *root = call->value[OPTION_ROOT];

	if (root)
		return strcmp(root, "/") == 0 ? "" : root;
	return gpualloc_machine_is_here(machine) ? "" : NULL;
}

static int run(const struct call *call)
{
	const char *word = call->operands[0];

	if (strcmp(word, "check") == 0)
		return slurm_check(call);
	if (strcmp(word, "gres-conf") != 0)
		return fail_usage(call->command, "slurm has no \"%s\"; it has check and gres-conf",
				  word);
	if (call->operand_count > 1)
		return fail_usage(call->command,
				  "slurm gres-conf does not know what to do with "
				  "\"%s\"",
				  call->operands[1]);
	if (call->value[OPTION_SLURM_VERSION])
		return fail_usage(call->command, "--slurm-version is for slurm check");
	return slurm_gres_conf(call);
}

const struct command command_slurm = {
	.name = "slurm",
	.sentence = "Slurm's gres.conf: written for a machine, or checked",
	.description =
		"gres-conf prints the lines of gres.conf for a machine: in PCI order, with Type, "
		"File or the MultipleFiles of MIG instances, Cores and Links. check reads a site's "
		"gres.conf and slurm.conf and says what is wrong, FILE:LINE and a sentence each, "
		"with exit status 65; with --json that is a document, and 0.",
	.example = "gpualloc slurm gres-conf --machine dgx1-volta",
	.operand = "gres-conf | check FILE...",
	.operands_least = 1,
	.operands_most = 1000,
	.complete = COMPLETE_SLURM,
	.options = (const enum option_id[]){OPTION_DEADLINE, OPTION_HELP, OPTION_JSON,
					    OPTION_MACHINE, OPTION_NODE, OPTION_QUIET, OPTION_ROOT,
					    OPTION_SLURM_VERSION, OPTION_END},
	.run = run,
};
