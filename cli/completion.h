/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion: a script for each shell, made from the tables of commands and options. What only this
 * machine knows, its devices and leases, the scripts ask the command for at the moment of completing.
 */
#ifndef CLI_COMPLETION_H
#define CLI_COMPLETION_H

#include "buffer.h"
#include "command.h"

void completion_bash(struct ga_buffer *text, const struct command *const *commands);
void completion_fish(struct ga_buffer *text, const struct command *const *commands);
void completion_zsh(struct ga_buffer *text, const struct command *const *commands);

/* The words that a value or an operand may be, each after a blank; nothing for files. */
void completion_words(struct ga_buffer *text, const struct command *const *commands,
		      enum complete complete);
/* Whether it may be a file. */
bool completion_takes_files(enum complete complete);
/* What the script asks the command for: "devices", "hosts", "leases"; NULL if it knows the words.
 */
const char *completion_asks(enum complete complete);

/*
 * What the scripts ask for, a line each: the word, a tab, and what it is. devices completes a list
 * and leaves out those that typed has already. They return the exit status.
 */
int completion_devices(const struct call *call, const char *typed);
int completion_hosts(void);
int completion_leases(const struct call *call);

#endif
