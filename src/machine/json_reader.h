/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields of JSON objects, checked for type and range. A refusal is GPUALLOC_EDATA and names the
 * field by its path in the document; a missing field leaves the result unchanged.
 */
#ifndef GA_MACHINE_JSON_READER_H
#define GA_MACHINE_JSON_READER_H

#include "machine_file.h"

#include <jansson.h>

struct ga_json_reader {
	enum ga_machine_form form;
	gpualloc_error *error;
};

/* Where in the document: "devices[3]." before a key. */
struct ga_json_path {
	char text[160];
};

struct ga_json_path ga_json_path_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

int ga_json_wrong_type(struct ga_json_reader *reader, const char *path, const char *key,
		       const char *expected, const json_t *found);
int ga_json_unknown_word(struct ga_json_reader *reader, const char *path, const char *key,
			 const char *word, const char *known);

int ga_json_read_text(struct ga_json_reader *reader, const json_t *object, const char *path,
		      const char *key, char **ret_text);
int ga_json_read_number(struct ga_json_reader *reader, const json_t *object, const char *path,
			const char *key, int64_t least, int64_t most, int64_t *ret_number);
int ga_json_read_bool(struct ga_json_reader *reader, const json_t *object, const char *path,
		      const char *key, bool *ret_value, bool *ret_found);
/* A list of no more than most entries; *ret_list is NULL if the key is absent. */
int ga_json_read_list(struct ga_json_reader *reader, const json_t *object, const char *path,
		      const char *key, size_t most, const json_t **ret_list);

/* The matrices of links, in machine_file_links.c. */
int ga_machine_file_read_links(struct ga_json_reader *reader, const json_t *root,
			       struct ga_links *links);

#endif
