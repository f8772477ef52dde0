/* SPDX-License-Identifier: Apache-2.0 */
/* What may stand where, for every shell; see completion.h. */
#include "completion.h"

#include <string.h>

void completion_words(struct ga_buffer *text, const struct command *const *commands,
		      enum complete complete)
{
	const struct command *command;
	const char *name;

	if (complete == COMPLETE_BY)
		ga_buffer_text(text, " gpu group user");
	if (complete == COMPLETE_CDI)
		ga_buffer_text(text, " generate");
	if (complete == COMPLETE_COMMAND)
		for (size_t i = 0; (command = commands[i]); i++)
			ga_buffer_format(text, " %s", command->name);
	if (complete == COMPLETE_MACHINE)
		for (size_t i = 0; (name = gpualloc_spec_name(i)); i++)
			ga_buffer_format(text, " %s", name);
	if (complete == COMPLETE_FORM)
		ga_buffer_text(text, " index uuid");
	if (complete == COMPLETE_FORMAT)
		ga_buffer_text(text, " env index json pci torch uuid");
	if (complete == COMPLETE_POLICY)
		for (size_t i = 0; (name = gpualloc_policy_name(i)); i++)
			ga_buffer_format(text, " %s", name);
	if (complete == COMPLETE_SHELL)
		ga_buffer_text(text, " bash fish zsh");
	if (complete == COMPLETE_SLURM)
		ga_buffer_text(text, " check gres-conf");
}

bool completion_takes_files(enum complete complete)
{
	return complete == COMPLETE_FILE || complete == COMPLETE_MACHINE ||
	       complete == COMPLETE_SLURM;
}

const char *completion_asks(enum complete complete)
{
	return complete == COMPLETE_DEVICES ? "devices"
	       : complete == COMPLETE_HOSTS ? "hosts"
	       : complete == COMPLETE_LEASE ? "leases"
					    : NULL;
}
