/* SPDX-License-Identifier: Apache-2.0 */
/* Results of tools: a few words for a model, and a document for its client. See session.h. */
#include "clock.h"
#include "mcp/rpc.h"
#include "mcp/session.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { HOLDERS_SHOWN = 8, WORDS_MOST = 4000 };

static json_t *text_block(const char *text)
{
	return json_pack("{s:s, s:s}", "type", "text", "text", text);
}

/* Clients of a protocol without structured content read it as text. */
static bool reads_structure(const struct caller *caller)
{
	return strcmp(caller->version, "2025-06-18") >= 0;
}

static void add_as_text(json_t *content, json_t *document)
{
	char *text = json_dumps(document, JSON_COMPACT);

	if (text)
		(void)json_array_append_new(content, text_block(text));
	free(text);
}

/* An error is a text as well: what a schema describes is the answer. */
static json_t *result_for(const struct caller *caller, json_t *structured, const char *text,
			  bool is_error)
{
	json_t *content = json_pack("[o]", text_block(text));
	json_t *result = json_pack("{s:O, s:b}", "content", content, "isError", is_error);

	if (structured && (is_error || !reads_structure(caller)))
		add_as_text(content, structured);
	else if (structured)
		(void)json_object_set(result, "structuredContent", structured);
	json_decref(content);
	return result;
}

static void finish_call(struct session *session, struct pending *pending, json_t *structured,
			const char *text, bool is_error)
{
	for (size_t i = 0; i < pending->caller_count; i++) {
		struct caller *caller = &pending->callers[i];
		json_t *result = result_for(caller, structured, text, is_error);

		session_send_result(session, caller->id, caller->version, result);
		json_decref(caller->id);
		json_decref(caller->token);
	}
	pending->caller_count = 0;
	pending->is_answered = true;
	json_decref(structured);
}

void answer(struct session *session, struct pending *pending, json_t *structured, const char *text)
{
	finish_call(session, pending, structured, text, false);
}

void refuse(struct session *session, struct pending *pending, json_t *error, const char *format,
	    ...)
{
	char text[WORDS_MOST];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	finish_call(session, pending, error, text, true);
}

void answer_add_time(struct ga_buffer *text, int64_t seconds)
{
	time_t then = (time_t)seconds;
	struct tm local;
	char words[32] = "?";

	if (localtime_r(&then, &local))
		(void)strftime(words, sizeof words, "%Y-%m-%d %H:%M", &local);
	ga_buffer_text(text, words);
}

json_t *answer_document(const struct process *process)
{
	return process->said.data && !process->said.failed
		       ? json_loadb(process->said.data, process->said.size, 0, NULL)
		       : NULL;
}

/* ---- what commands say on stderr, one document a line ---- */

/* The next line of said, and how far it goes; NULL if there is no whole one. */
static json_t *next_document(const char *said, size_t size, size_t *at)
{
	while (*at < size) {
		const char *end = memchr(said + *at, '\n', size - *at);
		size_t length = end ? (size_t)(end - said) - *at : 0;
		json_t *document;

		if (!end)
			return NULL;
		document = json_loadb(said + *at, length, 0, NULL);
		*at += length + 1;
		if (json_is_object(document))
			return document;
		json_decref(document);
	}
	return NULL;
}

void answer_notes(struct session *session, struct pending *pending, const char *said, size_t size,
		  size_t *looked_at)
{
	json_t *document;

	while (said && (document = next_document(said, size, looked_at))) {
		const char *note = json_string_value(json_object_get(document, "note"));

		if (note)
			answer_progress(session, pending, note);
		json_decref(document);
	}
}

void answer_progress(struct session *session, struct pending *pending, const char *message)
{
	pending->told_at = ga_clock_ms();
	pending->progress++;
	for (size_t i = 0; i < pending->caller_count; i++) {
		json_t *token = pending->callers[i].token;

		if (token)
			session_send(session,
				     rpc_notification("notifications/progress",
						      json_pack("{s:O, s:I, s:s}", "progressToken",
								token, "progress",
								(json_int_t)pending->progress,
								"message", message)));
	}
}

/* ---- refusals ---- */

/* Who has what, in the few words that matter to somebody who waits. */
static json_t *few_words_of(const json_t *holders)
{
	json_t *few = json_array();

	for (size_t i = 0; i < json_array_size(holders) && i < HOLDERS_SHOWN; i++) {
		json_t *holder = json_array_get(holders, i), *one = json_object();
		static const char *const keys[] = {"id", "user", "agent", "until", "note"};

		for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
			json_t *value = json_object_get(holder, keys[k]);

			if (value && !json_is_null(value))
				(void)json_object_set(one, keys[k], value);
		}
		(void)json_object_set_new(one, "devices",
					  json_integer((json_int_t)json_array_size(
						  json_object_get(holder, "devices"))));
		(void)json_array_append_new(few, one);
	}
	return few;
}

/* The first that ends by itself. */
static const json_t *first_to_end(const json_t *holders)
{
	const json_t *first = NULL;

	for (size_t i = 0; i < json_array_size(holders); i++) {
		const json_t *holder = json_array_get(holders, i);
		const json_t *until = json_object_get(holder, "until");

		if (json_is_integer(until) &&
		    (!first || json_integer_value(until) <
				       json_integer_value(json_object_get(first, "until"))))
			first = holder;
	}
	return first;
}

static void add_what_to_do(struct ga_buffer *text, const char *kind, const json_t *error)
{
	const json_t *holders = json_object_get(error, "holders");
	const json_t *first = first_to_end(holders);
	const char *user = json_string_value(json_object_get(first, "user"));

	if (strcmp(kind, "busy") != 0 && strcmp(kind, "timeout") != 0)
		return;
	if (first) {
		ga_buffer_format(text, "\nThe first lease to end by itself is %s of %s, at ",
				 json_string_value(json_object_get(first, "id")),
				 user ? user : "?");
		answer_add_time(text, json_integer_value(json_object_get(first, "until")));
		ga_buffer_char(text, '.');
	}
	ga_buffer_text(text, strcmp(kind, "busy") == 0
				     ? "\nAsk for fewer devices, or with wait (\"30m\") to queue."
				     : "\nAsk for fewer devices, or again later.");
}

static json_t *last_error(const char *complained, size_t size)
{
	json_t *last = NULL, *document;
	size_t at = 0;

	while (complained && (document = next_document(complained, size, &at))) {
		json_t *error = json_object_get(document, "error");

		if (json_is_object(error)) {
			json_decref(last);
			last = json_incref(error);
		}
		json_decref(document);
	}
	return last;
}

/* As many whole characters as there is room for; they may come from anywhere. */
static void add_shown(struct ga_buffer *text, const char *said, size_t size, size_t most)
{
	for (size_t length; size > 0; said += length, size -= length) {
		bool is_shown;

		length = *said == '\n' ? 1 : ga_text_character(said, size);
		is_shown = length > 0;
		length = is_shown ? length : 1;
		if (length > most)
			return;
		most -= length;
		ga_buffer_append(text, is_shown ? said : "?", length);
	}
}

void refuse_as(struct session *session, struct pending *pending, const char *complained,
	       size_t size, int status)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(WORDS_MOST);
	json_t *error = last_error(complained, size);
	const char *message = json_string_value(json_object_get(error, "message"));
	const char *kind = json_string_value(json_object_get(error, "kind"));
	json_t *holders = json_object_get(error, "holders");
	json_t *shown = json_pack("{s:i, s:s}", "status", status, "kind", kind ? kind : "other");

	if (message)
		add_shown(&text, message, strlen(message), WORDS_MOST / 2);
	else if (size > 0)
		add_shown(&text, complained, size, WORDS_MOST / 2);
	else
		ga_buffer_format(&text, "gpualloc ended with status %d and without a word", status);
	if (kind)
		add_what_to_do(&text, kind, error);
	if (holders)
		(void)json_object_set_new(shown, "holders", few_words_of(holders));
	refuse(session, pending, shown, "%s", text.failed ? "it failed" : text.data);
	json_decref(error);
}
