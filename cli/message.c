/* SPDX-License-Identifier: Apache-2.0 */
/* Sentences on stderr; see message.h. */
#include "message.h"

#include "cleanup.h"
#include "columns.h"
#include "file.h"
#include "json_writer.h"
#include "remedy.h"
#include "terminal.h"
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGE_SIZE = 8192 };

/* With --json each message is a document on a line of its own, an error or a note. */
static struct {
	const struct call *call; /* NULL: messages are for people */
	message_holders_function *add_holders;
	int fd;
} json_wanted;

void message_in_json(const struct call *call, message_holders_function *add_holders, int fd)
{
	json_wanted.fd = fd;
	json_wanted.call = call;
	json_wanted.add_holders = add_holders;
}

bool message_is_json(void)
{
	return json_wanted.call != NULL;
}

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

/* ---- as documents ---- */

static const char *kind_of(int status)
{
	static const struct {
		int status;
		const char *kind;
	} kinds[] = {
		{STATUS_USAGE, "usage"},   {65, "data"},          {69, "no-source"},
		{STATUS_MEMORY, "memory"}, {STATUS_OUTPUT, "io"}, {STATUS_BUSY, "busy"},
		{77, "permission"},        {78, "impossible"},    {STATUS_TIMEOUT, "timeout"},
		{126, "not-runnable"},     {127, "not-found"},
	};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (kinds[i].status == status)
			return kinds[i].kind;
	return "other";
}

/* Words from the command line may be any bytes; a document has only UTF-8 that can be shown. */
static void add_clean(struct ga_json *json, const char *key, const char *message)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	size_t left = strlen(message), size;

	for (; left > 0; left -= size, message += size) {
		size = *message == '\n' ? 1 : ga_text_character(message, left);
		if (size > 0)
			ga_buffer_append(&text, message, size);
		else
			ga_buffer_char(&text, '?');
		size = size > 0 ? size : 1;
	}
	json->out->failed = json->out->failed || text.failed;
	ga_json_text(json, key, text.data ? text.data : "");
}

static void put_document(struct ga_json *json)
{
	ga_json_close(json, '}');
	ga_buffer_char(json->out, '\n');
	if (!json->out->failed)
		(void)ga_file_put(json_wanted.fd, json->out->data, json->out->size);
}

static void put_note(const char *note)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct ga_json json = {.out = &text};

	ga_json_open(&json, NULL, '{');
	ga_json_number(&json, "schema", 1);
	add_clean(&json, "note", strncmp(note, "note: ", 6) == 0 ? note + 6 : note);
	put_document(&json);
}

/* remedies: each ended by NUL, then an empty one; NULL: none. */
static void put_error(int status, const char *message, const char *remedies)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct ga_json json = {.out = &text};

	ga_json_open(&json, NULL, '{');
	ga_json_number(&json, "schema", 1);
	ga_json_open(&json, "error", '{');
	ga_json_number(&json, "status", status);
	ga_json_text(&json, "kind", kind_of(status));
	add_clean(&json, "message", message);
	ga_json_open(&json, "remedies", '[');
	for (; remedies && *remedies; remedies += strlen(remedies) + 1)
		add_clean(&json, NULL, remedies);
	ga_json_close(&json, ']');
	/* Whoever waits in vain wants to know for whom. */
	if ((status == STATUS_BUSY || status == STATUS_TIMEOUT) && json_wanted.add_holders)
		json_wanted.add_holders(&json, json_wanted.call);
	ga_json_close(&json, '}');
	put_document(&json);
}

/* ---- as either ---- */

enum { A_NOTE = 0 };

/* status: of the failure; A_NOTE if nothing failed. ending is for people only. */
static void say_list(int status, const char *ending, const char *remedies, const char *format,
		     va_list arguments) __attribute__((format(printf, 4, 0)));
static void say_list(int status, const char *ending, const char *remedies, const char *format,
		     va_list arguments)
{
	char message[MESSAGE_SIZE], rest[MESSAGE_SIZE - 512];
	int size;

	(void)vsnprintf(rest, sizeof rest, format, arguments);
	if (json_wanted.call && status == A_NOTE) {
		put_note(rest);
		return;
	}
	if (json_wanted.call) {
		put_error(status, rest, remedies);
		return;
	}
	size = snprintf(message, sizeof message, "gpualloc: %s%s\n", rest, ending);
	write_sentences(message, (size_t)size < sizeof message ? (size_t)size : sizeof message - 1);
}

void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say_list(A_NOTE, "", NULL, format, arguments);
	va_end(arguments);
}

int fail(int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say_list(status, "", NULL, format, arguments);
	va_end(arguments);
	return status;
}

int fail_text(int status, struct ga_buffer *text)
{
	static const char name[] = "gpualloc: ";
	bool is_named;

	if (text->failed)
		return fail_memory();
	if (text->size == 0)
		return status;
	is_named = strncmp(text->data, name, sizeof name - 1) == 0;
	if (json_wanted.call)
		put_error(status, text->data + (is_named ? sizeof name - 1 : 0), NULL);
	else
		write_message(text->data, text->size);
	return status;
}

int fail_memory(void)
{
	return fail(STATUS_MEMORY, "out of memory");
}

int fail_error_with(int status, const gpualloc_error *error, const char *hint)
{
	ga_auto_buffer struct ga_buffer remedies = GA_BUFFER_OUTPUT;
	const char *message = gpualloc_error_message(error);
	int exit_status = gpualloc_exit_status(status);

	if (!*message || status == GPUALLOC_ENOMEM)
		return fail_memory();
	if (json_wanted.call) {
		remedy_list(&remedies, gpualloc_error_remedies(error));
		if (hint)
			ga_buffer_append(&remedies, hint, strlen(hint) + 1);
		ga_buffer_char(&remedies, '\0');
		put_error(exit_status, message, remedies.failed ? NULL : remedies.data);
		return exit_status;
	}
	remedy_add(&remedies, gpualloc_error_remedies(error), strchr(message, '\n') ? "\n" : "; ");
	(void)fail(exit_status, "%s%s", message,
		   remedies.data && !remedies.failed ? remedies.data : "");
	if (hint)
		say("hint: %s", hint);
	return exit_status;
}

int fail_error(int status, const gpualloc_error *error)
{
	return fail_error_with(status, error, NULL);
}

int fail_usage(const struct command *command, const char *format, ...)
{
	char ending[128], remedy[64] = "";
	va_list arguments;

	(void)snprintf(remedy, sizeof remedy - 1, "try `gpualloc%s%s --help`", command ? " " : "",
		       command ? command->name : "");
	(void)snprintf(ending, sizeof ending, "\nT%s.", remedy + 1);
	va_start(arguments, format);
	say_list(STATUS_USAGE, ending, remedy, format, arguments);
	va_end(arguments);
	return STATUS_USAGE;
}
