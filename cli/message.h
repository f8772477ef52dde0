/* SPDX-License-Identifier: Apache-2.0 */
/* Messages on stderr: "gpualloc: " and a sentence. The functions return the exit status. */
#ifndef CLI_MESSAGE_H
#define CLI_MESSAGE_H

#include "buffer.h"
#include "command.h"
#include "json_writer.h"

#include <stdbool.h>

enum {
	STATUS_USAGE = 64,
	STATUS_MEMORY = 71,
	STATUS_OUTPUT = 74,
	STATUS_BUSY = 75,
	STATUS_TIMEOUT = 124
};

/* Adds who has what, for those who cannot have it. */
typedef void message_holders_function(struct ga_json *json, const struct call *call);
/*
 * From now on every message is a JSON document on a line of its own: {"schema":1,"error":{...}} or
 * {"schema":1,"note":"..."}, written to fd. call must last as long as the program; NULL: messages
 * are for people again.
 */
void message_in_json(const struct call *call, message_holders_function *add_holders, int fd);
bool message_is_json(void);

void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
int fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Many lines at once, longer than a message may be; the caller has put "gpualloc: " before them. */
int fail_text(int status, struct ga_buffer *text);
int fail_memory(void);
/* What the library said; status is the result of its call. */
int fail_error(int status, const gpualloc_error *error);
/* The same, and what else could be done; NULL: nothing. */
int fail_error_with(int status, const gpualloc_error *error, const char *hint);
/* A mistake in how a command was called; the message ends with where to read about it. */
int fail_usage(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
