/* SPDX-License-Identifier: Apache-2.0 */
/* Writes JSON byte by byte; see json_writer.h. */
#include "json_writer.h"

#include <string.h>

static void put_string(struct ga_buffer *out, const char *text)
{
	const char *start = text;

	ga_buffer_char(out, '"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
			continue;
		ga_buffer_append(out, start, (size_t)(text - start));
		start = text + 1;
		if (c == '"' || c == '\\')
			ga_buffer_format(out, "\\%c", c);
		else
			ga_buffer_format(out, "\\u%04x", (unsigned)c);
	}
	ga_buffer_append(out, start, (size_t)(text - start));
	ga_buffer_char(out, '"');
}

static void begin(struct ga_json *json, const char *key)
{
	if (json->comma)
		ga_buffer_char(json->out, ',');
	if (json->space)
		ga_buffer_text(json->out, json->space);
	else if (json->comma)
		ga_buffer_char(json->out, ' ');
	json->space = NULL;
	json->comma = true;
	if (key) {
		put_string(json->out, key);
		ga_buffer_text(json->out, ": ");
	}
}

void ga_json_line(struct ga_json *json, const char *blanks)
{
	json->space = blanks;
}

void ga_json_open(struct ga_json *json, const char *key, char bracket)
{
	begin(json, key);
	ga_buffer_char(json->out, bracket);
	json->comma = false;
}

void ga_json_open_line(struct ga_json *json, const char *blanks, const char *key, char bracket)
{
	ga_json_line(json, blanks);
	ga_json_open(json, key, bracket);
}

bool ga_json_open_known(struct ga_json *json, const char *key, char bracket, bool is_known)
{
	if (is_known)
		ga_json_open(json, key, bracket);
	else
		ga_json_null(json, key);
	return is_known;
}

void ga_json_close(struct ga_json *json, char bracket)
{
	if (json->space)
		ga_buffer_text(json->out, json->space);
	json->space = NULL;
	ga_buffer_char(json->out, bracket);
	json->comma = true;
}

void ga_json_text(struct ga_json *json, const char *key, const char *text)
{
	if (!text) {
		ga_json_null(json, key);
		return;
	}
	begin(json, key);
	put_string(json->out, text);
}

void ga_json_number(struct ga_json *json, const char *key, int64_t number)
{
	if (number < 0) {
		ga_json_null(json, key);
		return;
	}
	begin(json, key);
	ga_buffer_format(json->out, "%lld", (long long)number);
}

void ga_json_bool(struct ga_json *json, const char *key, bool value)
{
	begin(json, key);
	ga_buffer_text(json->out, value ? "true" : "false");
}

void ga_json_null(struct ga_json *json, const char *key)
{
	begin(json, key);
	ga_buffer_text(json->out, "null");
}

void ga_json_text_known(struct ga_json *json, const char *key, const char *text)
{
	if (text)
		ga_json_text(json, key, text);
}

void ga_json_number_known(struct ga_json *json, const char *key, int64_t number)
{
	if (number >= 0)
		ga_json_number(json, key, number);
}
