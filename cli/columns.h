/* SPDX-License-Identifier: Apache-2.0 */
/* Text on a terminal is measured in columns, not in bytes. */
#ifndef CLI_COLUMNS_H
#define CLI_COLUMNS_H

#include "buffer.h"

/* The number of terminal columns that a string takes. */
size_t columns_of(const char *string);
/* The bytes of a string that fit into that many columns; *ret_columns is what they take. */
size_t columns_fit(const char *string, size_t columns, size_t *ret_columns);

/* A string in exactly that many columns: blanks fill them up, an ellipsis shows what was cut. */
void columns_left(struct ga_buffer *text, const char *string, size_t columns);
void columns_right(struct ga_buffer *text, const char *string, size_t columns);
/* At most that many columns, without padding. */
void columns_cut(struct ga_buffer *text, const char *string, size_t columns);
/* The same for a word of another user: none of its control characters reach the terminal. */
void columns_foreign(struct ga_buffer *text, const char *word, size_t columns);
/* Lines of at most that many columns, broken at blanks, each after indent blanks. There are at most
 * most lines; an ellipsis ends the last if text is left over. */
void columns_wrap(struct ga_buffer *text, const char *string, size_t indent, size_t columns,
		  size_t most);
/* Lines as they are, but those that are wider are broken at blanks; what follows a break stands two
 * columns further in than the line. Words stay whole, so that a path can be copied. */
void columns_fold(struct ga_buffer *text, const char *string, size_t columns);

#endif
