/* SPDX-License-Identifier: Apache-2.0 */
/* What is said on stderr: "gpualloc: " and a sentence. The functions return the exit status. */
#ifndef CLI_MESSAGE_H
#define CLI_MESSAGE_H

#include "buffer.h"
#include "command.h"

enum { STATUS_USAGE = 64, STATUS_MEMORY = 71, STATUS_OUTPUT = 74 };

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
int fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Many lines at once, longer than a message may be; they begin with "gpualloc: " by themselves. */
int fail_text(int status, struct ga_buffer *text);
int fail_memory(void);
/* What the library said; status is what its call returned. */
int fail_error(int status, const gpualloc_error *error);
/* A mistake in how a command was called: ends in where to read about it. */
int fail_usage(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
