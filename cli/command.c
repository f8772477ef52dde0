/* SPDX-License-Identifier: Apache-2.0 */
/* Commands by their names; see command.h. */
#include "command.h"

#include <string.h>

const struct command *command_find(const struct command *const *commands, const char *name)
{
	for (; *commands; commands++)
		if (strcmp((*commands)->name, name) == 0)
			return *commands;
	return NULL;
}
