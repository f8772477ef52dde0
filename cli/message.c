/* SPDX-License-Identifier: Apache-2.0 */
/* Sentences on stderr; see message.h. */
#include "message.h"

#include "cleanup.h"
#include "columns.h"
#include "file.h"
#include "remedy.h"
#include "terminal.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGE_SIZE = 8192 };

/*
 * In one write, so that lines of several programs do not mix. File names and words from the command
 * line may contain escape codes, which never reach the terminal from here.
 */
static void write_message(char *message, size_t size)
{
	ga_text_disarm(message);
	(void)ga_file_put(STDERR_FILENO, message, size);
}

/* A terminal would break lines within words. Elsewhere each line stays one, for who searches. */
static void write_sentences(char *message, size_t size)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;

	ga_text_disarm(message);
	if (isatty(STDERR_FILENO) == 1)
		columns_fold(&text, message, terminal_columns(STDERR_FILENO));
	if (text.size > 0 && !text.failed)
		(void)ga_file_put(STDERR_FILENO, text.data, text.size);
	else
		(void)ga_file_put(STDERR_FILENO, message, size);
}

static void say_list(const char *ending, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));
static void say_list(const char *ending, const char *format, va_list arguments)
{
	char message[MESSAGE_SIZE], rest[MESSAGE_SIZE - 512];
	int size;

	(void)vsnprintf(rest, sizeof rest, format, arguments);
	size = snprintf(message, sizeof message, "gpualloc: %s%s\n", rest, ending);
	write_sentences(message, (size_t)size < sizeof message ? (size_t)size : sizeof message - 1);
}

void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say_list("", format, arguments);
	va_end(arguments);
}

int fail(int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say_list("", format, arguments);
	va_end(arguments);
	return status;
}

int fail_text(int status, struct ga_buffer *text)
{
	if (text->failed)
		return fail_memory();
	if (text->size > 0)
		write_message(text->data, text->size);
	return status;
}

int fail_memory(void)
{
	return fail(STATUS_MEMORY, "out of memory");
}

int fail_error(int status, const gpualloc_error *error)
{
	ga_auto_buffer struct ga_buffer remedies = GA_BUFFER_OUTPUT;
	const char *message = gpualloc_error_message(error);

	if (!*message || status == GPUALLOC_ENOMEM)
		return fail_memory();
	remedy_add(&remedies, gpualloc_error_remedies(error), strchr(message, '\n') ? "\n" : "; ");
	return fail(gpualloc_exit_status(status), "%s%s", message,
		    remedies.data && !remedies.failed ? remedies.data : "");
}

int fail_usage(const struct command *command, const char *format, ...)
{
	char ending[128];
	va_list arguments;

	if (command)
		(void)snprintf(ending, sizeof ending, "\nTry `gpualloc %s --help`.", command->name);
	else
		(void)snprintf(ending, sizeof ending, "\nTry `gpualloc --help`.");
	va_start(arguments, format);
	say_list(ending, format, arguments);
	va_end(arguments);
	return STATUS_USAGE;
}
