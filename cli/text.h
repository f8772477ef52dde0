/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that is built whole before any of it is shown. A failed append marks the text, so that
 * a writer checks once, at the end; what is shown is measured in columns, not in bytes.
 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
	char *data; /* ends in NUL once anything was added */
	size_t size;
	size_t capacity;
	bool failed; /* out of memory */
};

void text_free(struct text *text);
#define auto_text __attribute__((cleanup(text_free)))

void text_append(struct text *text, const void *data, size_t size);
void text_add(struct text *text, const char *string);
void text_char(struct text *text, char c);
void text_repeat(struct text *text, char c, size_t count);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* How many columns of a terminal a string takes. */
size_t columns_of(const char *string);
/* How many bytes of a string fit into that many columns; *ret_columns is what they take. */
size_t columns_fit(const char *string, size_t columns, size_t *ret_columns);

/* A string in exactly that many columns: blanks fill them up, an ellipsis shows what was cut. */
void text_left(struct text *text, const char *string, size_t columns);
void text_right(struct text *text, const char *string, size_t columns);
/* At most that many columns, not filled up. */
void text_cut(struct text *text, const char *string, size_t columns);
/* Lines of at most that many columns, broken at blanks, each behind indent blanks; an ellipsis
 * ends the last of at most most lines when there would be more. */
void text_wrap(struct text *text, const char *string, size_t indent, size_t columns, size_t most);

#endif
