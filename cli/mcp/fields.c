/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of tools; see fields.h. */
#include "mcp/fields.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MOST = 1000, WORDS_MOST = 1000, WORDS_BYTES_MOST = 128 << 10 };

/* ---- the schema ---- */

static json_t *schema_of(const struct field *field)
{
	static const char *const types[] = {[FIELD_TEXT] = "string",
					    [FIELD_NUMBER] = "integer",
					    [FIELD_FLAG] = "boolean",
					    [FIELD_WORDS] = "array"};
	json_t *schema =
		json_pack("{s:s, s:s}", "type", types[field->type], "description", field->sentence);

	if (field->type == FIELD_NUMBER)
		(void)json_object_set_new(schema, "minimum", json_integer(0));
	if (field->type == FIELD_WORDS) {
		(void)json_object_set_new(schema, "items", json_pack("{s:s}", "type", "string"));
		(void)json_object_set_new(schema, "minItems", json_integer(1));
	}
	return schema;
}

json_t *fields_schema(const struct field *fields)
{
	json_t *properties = json_object(), *required = json_array(), *schema;

	for (const struct field *field = fields; field->name; field++) {
		(void)json_object_set_new(properties, field->name, schema_of(field));
		if (field->is_required)
			(void)json_array_append_new(required, json_string(field->name));
	}
	schema = json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties,
			   "additionalProperties", 0);
	if (json_array_size(required) > 0)
		(void)json_object_set(schema, "required", required);
	json_decref(required);
	return schema;
}

/* ---- the check ---- */

/* What a person may read in a record or an error; words of a command may be any text. */
static bool is_plain(const json_t *text)
{
	const char *at = json_string_value(text);

	for (; *at; at++)
		if (ga_text_is_control(*at))
			return false;
	return true;
}

static bool are_words(const json_t *list)
{
	size_t size = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *word = json_array_get(list, i);

		if (!json_is_string(word))
			return false;
		size += json_string_length(word) + 1;
	}
	return json_array_size(list) > 0 && json_array_size(list) <= WORDS_MOST &&
	       json_string_length(json_array_get(list, 0)) > 0 && size <= WORDS_BYTES_MOST;
}

static bool is_right(const struct field *field, const json_t *value, struct ga_buffer *why)
{
	if (field->type == FIELD_FLAG && !json_is_boolean(value))
		ga_buffer_format(why, "%s must be true or false", field->name);
	else if (field->type == FIELD_NUMBER &&
		 (!json_is_integer(value) || json_integer_value(value) < 0))
		ga_buffer_format(why, "%s must be a whole number from 0", field->name);
	else if (field->type == FIELD_WORDS && !are_words(value))
		ga_buffer_format(why,
				 "%s must be a list of texts, the program and each of its "
				 "arguments: [\"python3\", \"train.py\"]; there is no shell",
				 field->name);
	else if (field->type == FIELD_TEXT &&
		 (!json_is_string(value) || json_string_length(value) == 0 ||
		  json_string_length(value) > TEXT_MOST || !is_plain(value)))
		ga_buffer_format(why, "%s must be a text of one line, of 1 to %d bytes",
				 field->name, TEXT_MOST);
	return why->size == 0;
}

static const struct field *find(const struct field *fields, const char *name)
{
	for (; fields->name; fields++)
		if (strcmp(fields->name, name) == 0)
			return fields;
	return NULL;
}

static void add_names(struct ga_buffer *why, const struct field *fields)
{
	for (const struct field *field = fields; field->name; field++)
		ga_buffer_format(why, "%s%s", field == fields ? "" : ", ", field->name);
}

bool fields_check(const struct field *fields, json_t *arguments, struct ga_buffer *ret_why)
{
	const char *key;
	json_t *value;

	for (const struct field *field = fields; field->name; field++)
		if (field->is_required && !json_object_get(arguments, field->name)) {
			ga_buffer_format(ret_why, "%s is missing: %s", field->name,
					 field->sentence);
			return false;
		}
	json_object_foreach(arguments, key, value)
	{
		const struct field *field = find(fields, key);

		if (field && is_right(field, value, ret_why))
			continue;
		if (!field && fields->name) {
			ga_buffer_text(ret_why,
				       "there is an argument that is not known; known are ");
			add_names(ret_why, fields);
		} else if (!field) {
			ga_buffer_text(ret_why, "it takes no arguments");
		}
		return false;
	}
	return true;
}

/* ---- the words of a command ---- */

void words_free(struct words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->list[i]);
	free(words->list);
	*words = (struct words){0};
}

void words_add(struct words *words, const char *format, ...)
{
	char **longer = reallocarray(words->list, words->count + 2, sizeof *longer), *word = NULL;
	va_list arguments;
	int size;

	if (longer)
		words->list = longer;
	va_start(arguments, format);
	size = vasprintf(&word, format, arguments);
	va_end(arguments);
	if (!longer || size < 0) {
		if (size >= 0)
			free(word);
		words->failed = true;
		return;
	}
	longer[words->count++] = word;
	longer[words->count] = NULL;
}

void words_add_options(struct words *words, const struct field *fields, json_t *arguments)
{
	for (const struct field *field = fields; field->name; field++) {
		const json_t *value = json_object_get(arguments, field->name);

		if (!value || !field->option)
			continue;
		if (field->type == FIELD_TEXT)
			words_add(words, "%s=%s", field->option, json_string_value(value));
		else if (field->type == FIELD_NUMBER)
			words_add(words, "%s=%lld", field->option,
				  (long long)json_integer_value(value));
		else if (field->type == FIELD_FLAG && json_is_true(value))
			words_add(words, "%s", field->option);
	}
}
