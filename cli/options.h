/* SPDX-License-Identifier: Apache-2.0 */
/* The options: what each means, and reading a command line by a command's table. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "command.h"

const struct option_info *option_info(enum option_id id);

/*
 * Reads a command's words, argv[0] being its name. Returns 0, or the exit status of a mistake
 * about which everything has been said. After --help nothing more is read.
 */
int options_read(const struct command *command, int argc, char **argv, struct call *ret_call);

/* "500ms", "10s", "2m", "1h", from 1ms to 24h; nothing else. */
bool duration_read(const char *word, unsigned *ret_ms);
/* The same up to 365d. */
bool long_duration_read(const char *word, int64_t *ret_ms);

#endif
