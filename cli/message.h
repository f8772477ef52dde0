/* SPDX-License-Identifier: Apache-2.0 */
/* Messages on stderr: "gpualloc: " and a sentence. The functions return the exit status. */
#ifndef CLI_MESSAGE_H
#define CLI_MESSAGE_H

#include "buffer.h"
#include "command.h"

enum { STATUS_USAGE = 64, STATUS_MEMORY = 71, STATUS_OUTPUT = 74 };

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
int fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Many lines at once, longer than a message may be; the caller has put "gpualloc: " before them. */
int fail_text(int status, struct ga_buffer *text);
int fail_memory(void);
/* What the library said; status is the result of its call. */
int fail_error(int status, const gpualloc_error *error);
/* A mistake in how a command was called; the message ends with where to read about it. */
int fail_usage(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
