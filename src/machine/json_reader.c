/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of JSON objects, checked for type and range; see json_reader.h. */
#include "json_reader.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>

struct ga_json_path ga_json_path_of(const char *format, ...)
{
	struct ga_json_path path;
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(path.text, sizeof path.text, format, arguments);
	va_end(arguments);
	return path;
}

static const char *type_name(const json_t *json)
{
	switch (json_typeof(json)) {
	case JSON_OBJECT: return "an object";
	case JSON_ARRAY: return "a list";
	case JSON_STRING: return "a text";
	case JSON_INTEGER: return "a whole number";
	case JSON_REAL: return "a number with a fraction";
	case JSON_TRUE:
	case JSON_FALSE: return "true or false";
	case JSON_NULL: return "null";
	}
	return "something else";
}

int ga_json_wrong_type(struct ga_json_reader *reader, const char *path, const char *key,
		       const char *expected, const json_t *found)
{
	return ga_error_set(reader->error, GPUALLOC_EDATA, "%s%s: expected %s, found %s", path, key,
			    expected, type_name(found));
}

int ga_json_read_text(struct ga_json_reader *reader, const json_t *object, const char *path,
		      const char *key, char **ret_text)
{
	const json_t *json = json_object_get(object, key);

	if (!json)
		return 0;
	if (!json_is_string(json))
		return ga_json_wrong_type(reader, path, key, "a text", json);
	if (json_string_length(json) > GA_TEXT_MAX)
		return ga_error_set(reader->error, GPUALLOC_EDATA, "%s%s: longer than %d bytes",
				    path, key, GA_TEXT_MAX);
	if (ga_set_text_sized(ret_text, json_string_value(json), json_string_length(json)) < 0)
		return ga_error_memory(reader->error);
	return 0;
}

int ga_json_read_number(struct ga_json_reader *reader, const json_t *object, const char *path,
			const char *key, int64_t least, int64_t most, int64_t *ret_number)
{
	const json_t *json = json_object_get(object, key);
	int64_t number;

	if (!json)
		return 0;
	if (!json_is_integer(json))
		return ga_json_wrong_type(reader, path, key, "a whole number", json);
	number = json_integer_value(json);
	if (number < least || number > most)
		return ga_error_set(reader->error, GPUALLOC_EDATA,
				    "%s%s: %lld is out of range (%lld to %lld)", path, key,
				    (long long)number, (long long)least, (long long)most);
	*ret_number = number;
	return 0;
}

int ga_json_read_bool(struct ga_json_reader *reader, const json_t *object, const char *path,
		      const char *key, bool *ret_value, bool *ret_found)
{
	const json_t *json = json_object_get(object, key);

	*ret_found = json != NULL;
	if (!json)
		return 0;
	if (!json_is_boolean(json))
		return ga_json_wrong_type(reader, path, key, "true or false", json);
	*ret_value = json_is_true(json);
	return 0;
}

int ga_json_unknown_word(struct ga_json_reader *reader, const char *path, const char *key,
			 const char *word, const char *known)
{
	return ga_error_set(reader->error, GPUALLOC_EDATA, "%s%s: \"%s\" is not one of %s", path,
			    key, word, known);
}

/* A list of no more than most entries; *ret_list is NULL if the key is absent. */
int ga_json_read_list(struct ga_json_reader *reader, const json_t *object, const char *path,
		      const char *key, size_t most, const json_t **ret_list)
{
	const json_t *json = json_object_get(object, key);

	*ret_list = json;
	if (!json)
		return 0;
	if (!json_is_array(json))
		return ga_json_wrong_type(reader, path, key, "a list", json);
	if (json_array_size(json) > most)
		return ga_error_set(reader->error, GPUALLOC_EDATA,
				    "%s%s: %zu entries, more than %zu", path, key,
				    json_array_size(json), most);
	return 0;
}
