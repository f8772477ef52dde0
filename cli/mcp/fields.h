/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arguments of a tool: one table says what they are, and from it come the schema that the
 * client is shown, the check of what it sends, and the options of the command that does the work.
 */
#ifndef CLI_MCP_FIELDS_H
#define CLI_MCP_FIELDS_H

#include "buffer.h"

#include <jansson.h>

enum field_type {
	FIELD_TEXT,
	FIELD_NUMBER,
	FIELD_FLAG,
	FIELD_WORDS /* a list of texts: a command and its arguments */
};

struct field {
	const char *name;
	enum field_type type;
	bool is_required;
	const char *option; /* of the command, "--count"; NULL: it is none */
	const char *sentence;
};
#define FIELD_END            \
	{                    \
		.name = NULL \
	}

/* A schema for an object with these members and no others; NULL when out of memory. */
json_t *fields_schema(const struct field *fields);

/* Whether arguments (NULL: none) are as the table says; if not, a sentence says why. */
bool fields_check(const struct field *fields, json_t *arguments, struct ga_buffer *ret_why);

/* The words of a command, and how to add to them; failed when out of memory. */
struct words {
	char **list; /* with NULL after the last */
	size_t count;
	bool failed;
};
void words_free(struct words *words);
void words_add(struct words *words, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "--count=2" for every argument that is an option. They are checked. */
void words_add_options(struct words *words, const struct field *fields, json_t *arguments);

#endif
