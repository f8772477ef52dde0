/* SPDX-License-Identifier: Apache-2.0 */
/* JSON into a text. A key is NULL inside a list. What is not known (NULL, -1) is written null. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include "text.h"

#include <stdint.h>

struct json {
	struct text *out;
	bool comma;       /* something stands before in this object or list */
	const char *line; /* what separates the next value, instead of a blank */
};

void json_open(struct json *json, const char *key, char bracket);
void json_close(struct json *json, char bracket);
void json_text(struct json *json, const char *key, const char *string);
void json_number(struct json *json, const char *key, int64_t number);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);
/* The next value comes behind this ("\n  ") instead of a blank. */
void json_line(struct json *json, const char *line);

#endif
