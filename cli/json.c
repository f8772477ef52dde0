/* SPDX-License-Identifier: Apache-2.0 */
/* Writing JSON; see json.h. */
#include "json.h"

static void put_string(struct text *out, const char *string)
{
	text_char(out, '"');
	for (; *string; string++) {
		unsigned char c = (unsigned char)*string;

		if (c == '"' || c == '\\')
			text_format(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			text_format(out, "\\u%04x", (unsigned)c);
		else
			text_char(out, (char)c);
	}
	text_char(out, '"');
}

static void begin(struct json *json, const char *key)
{
	if (json->comma)
		text_char(json->out, ',');
	if (json->line)
		text_add(json->out, json->line);
	else if (json->comma)
		text_char(json->out, ' ');
	json->line = NULL;
	json->comma = true;
	if (key) {
		put_string(json->out, key);
		text_add(json->out, ": ");
	}
}

void json_line(struct json *json, const char *line)
{
	json->line = line;
}

void json_open(struct json *json, const char *key, char bracket)
{
	begin(json, key);
	text_char(json->out, bracket);
	json->comma = false;
}

void json_close(struct json *json, char bracket)
{
	text_char(json->out, bracket);
	json->comma = true;
	json->line = NULL;
}

void json_text(struct json *json, const char *key, const char *string)
{
	if (!string) {
		json_null(json, key);
		return;
	}
	begin(json, key);
	put_string(json->out, string);
}

void json_number(struct json *json, const char *key, int64_t number)
{
	if (number < 0) {
		json_null(json, key);
		return;
	}
	begin(json, key);
	text_format(json->out, "%lld", (long long)number);
}

void json_bool(struct json *json, const char *key, bool value)
{
	begin(json, key);
	text_add(json->out, value ? "true" : "false");
}

void json_null(struct json *json, const char *key)
{
	begin(json, key);
	text_add(json->out, "null");
}
