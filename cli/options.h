/* SPDX-License-Identifier: Apache-2.0 */
/* The options: what each means, and reading a command line by a command's table. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "command.h"

const struct option_info *option_info(enum option_id id);

/*
 * Reads a command's words, argv[0] being its name. Returns 0, or after a message the exit status of
 * the mistake. Reads nothing after --help.
 */
int options_read(const struct command *command, int argc, char **argv, struct call *ret_call);

/* Reads a duration up to most_ms. Returns 0, or after a message the exit status of the mistake. */
int duration_read(const struct call *call, const char *name, const char *word, int64_t most_ms,
		  int64_t *ret_ms);

/*
 * Whether a command's words ask for JSON, as far as can be told before they are read: so that
 * mistakes in them are documents too, and also that the command has no --json.
 */
bool options_ask_for_json(const struct command *command, int argc, char *const *argv);

#endif
