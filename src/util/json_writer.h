/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes JSON, so that we control every byte of the output. It adds the commas; the caller chooses
 * the line breaks. Text is escaped; it is UTF-8 already (ga_text_clean() saw to that when it came
 * in).
 */
#ifndef GA_UTIL_JSON_WRITER_H
#define GA_UTIL_JSON_WRITER_H

#include "buffer.h"

#include <stdint.h>

struct ga_json {
	struct ga_buffer *out;
	bool comma;        /* the next value follows another */
	const char *space; /* written before the next value instead of a blank */
};

#define GA_JSON_INIT(buffer) ((struct ga_json){.out = (buffer)})

/* key is NULL inside an array. Unknown values (NULL, a negative number) are written as null. */
void ga_json_open(struct ga_json *json, const char *key, char bracket);
void ga_json_close(struct ga_json *json, char bracket);
/* Puts this before the next value or closing bracket: a newline and blanks. */
void ga_json_line(struct ga_json *json, const char *blanks);
void ga_json_text(struct ga_json *json, const char *key, const char *text);
void ga_json_number(struct ga_json *json, const char *key, int64_t number);
void ga_json_bool(struct ga_json *json, const char *key, bool value);
void ga_json_null(struct ga_json *json, const char *key);

/* Opens one on a line of its own: ga_json_line() and ga_json_open(). */
void ga_json_open_line(struct ga_json *json, const char *blanks, const char *key, char bracket);
/*
 * Opens it if known and returns true. Otherwise writes null and returns false; there is nothing to
 * close.
 */
bool ga_json_open_known(struct ga_json *json, const char *key, char bracket, bool is_known);

/* The same, but writes nothing at all if the value is unknown. */
void ga_json_text_known(struct ga_json *json, const char *key, const char *text);
void ga_json_number_known(struct ga_json *json, const char *key, int64_t number);

#endif
