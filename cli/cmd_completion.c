/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc completion SHELL, and what the scripts for shells ask for; see completion.h. */
#include "completion.h"
#include "message.h"
#include "output.h"

#include <string.h>

static const struct {
	const char *name;
	void (*script)(struct ga_buffer *text, const struct command *const *commands);
} shells[] = {{"bash", completion_bash}, {"fish", completion_fish}, {"zsh", completion_zsh}};

static int run(const struct call *call)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	const char *word = call->operands[0], *typed = call->operands[1];

	if (strcmp(word, "devices") == 0)
		return completion_devices(call, typed ? typed : "");
	if (typed)
		return fail_usage(call->command, "completion does not know what to do with \"%s\"",
				  typed);
	if (strcmp(word, "hosts") == 0)
		return completion_hosts();
	if (strcmp(word, "leases") == 0)
		return completion_leases(call);
	for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
		if (strcmp(shells[i].name, word) != 0)
			continue;
		shells[i].script(&text, call->commands);
		return output_print(&text);
	}
	return fail_usage(call->command,
			  "there is no completion for \"%s\", only for bash, fish and zsh", word);
}

const struct command command_completion = {
	.name = "completion",
	.sentence = "completion for bash, fish or zsh",
	.description =
		"Prints a script that teaches a shell to complete commands, options, devices, "
		"leases, hosts and machine names: source <(gpualloc completion bash). Packages install it "
		"for you. devices, hosts and leases are what the script asks for when you press Tab: a "
		"line each, the word, a tab, and what it is; devices continues the list LIST.",
	.example = "gpualloc completion bash",
	.operand = "bash|fish|zsh|hosts|leases|devices [LIST]",
	.operands_least = 1,
	.operands_most = 2,
	.complete = COMPLETE_SHELL,
	.aside = true,
	.options = (const enum option_id[]){OPTION_DEADLINE, OPTION_HELP, OPTION_MACHINE,
					    OPTION_QUIET, OPTION_END},
	.run = run,
};
