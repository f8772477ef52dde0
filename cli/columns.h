/* SPDX-License-Identifier: Apache-2.0 */
/* What a terminal shows is measured in columns, not in bytes. */
#ifndef CLI_COLUMNS_H
#define CLI_COLUMNS_H

#include "buffer.h"

/* How many columns of a terminal a string takes. */
size_t columns_of(const char *string);
/* How many bytes of a string fit into that many columns; *ret_columns is what they take. */
size_t columns_fit(const char *string, size_t columns, size_t *ret_columns);

/* A string in exactly that many columns: blanks fill them up, an ellipsis shows what was cut. */
void columns_left(struct ga_buffer *text, const char *string, size_t columns);
void columns_right(struct ga_buffer *text, const char *string, size_t columns);
/* At most that many columns, not filled up. */
void columns_cut(struct ga_buffer *text, const char *string, size_t columns);
/* The same for another user's word: no control character of it reaches the terminal. */
void columns_foreign(struct ga_buffer *text, const char *word, size_t columns);
/* Lines of at most that many columns, broken at blanks, each behind indent blanks; an ellipsis
 * ends the last of at most most lines when there would be more. */
void columns_wrap(struct ga_buffer *text, const char *string, size_t indent, size_t columns,
		  size_t most);

#endif
