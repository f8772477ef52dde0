/* SPDX-License-Identifier: Apache-2.0 */
/* A command with --on: asks other hosts instead of looking at this one. */
#ifndef CLI_HOSTS_ON_H
#define CLI_HOSTS_ON_H

#include "hosts/ask.h"

/* Returns the exit status, as the command itself would. */
int on_hosts(const struct call *call);

/* The words of the command line that the hosts are asked with: the command's name, its options
 * except those that are for us, its operands. NULL-ended, for free(); NULL when out of memory. */
char **on_words(const struct call *call, const char *const *more);

/* Asks them with these words; command as in struct question. As ask(). */
int ask_words(const struct call *call, const struct hosts *hosts, char **words, const char *command,
	      struct answer **ret_answers);

#endif
