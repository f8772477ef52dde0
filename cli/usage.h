/* SPDX-License-Identifier: Apache-2.0 */
/* Help, written from the tables of commands and options. */
#ifndef CLI_USAGE_H
#define CLI_USAGE_H

#include "buffer.h"
#include "command.h"

void usage_of_all(struct ga_buffer *text, const struct command *const *commands);
void usage_of_command(struct ga_buffer *text, const struct command *command);
/* Says which commands there are and which the user may have meant; returns the exit status. */
int unknown_command(const struct command *const *commands, const char *word);

#endif
