/* SPDX-License-Identifier: Apache-2.0 */
/* A table of words, never wider than the terminal if that can be helped. Words of others are made
 * harmless when they come in. */
#ifndef CLI_HOSTS_GRID_H
#define CLI_HOSTS_GRID_H

#include "terminal.h"

enum { GRID_COLUMNS_MOST = 12 };

struct grid_column {
	const char *title;
	bool right;
	size_t least; /* how narrow it may become; 0: never narrower */
	size_t drop;  /* the columns that do not fit go in this order, from 1; 0: never */
};

struct grid {
	const struct grid_column *columns;
	size_t column_count;
	size_t coloured; /* the column that has the colour of its row */
	char **cells;
	enum colour *colours; /* of each row */
	size_t row_count;
	bool failed;
};

void grid_free(struct grid *grid);
#define auto_grid ga_cleanup(grid_free)

void grid_row(struct grid *grid, enum colour colour);
/* In the last row; NULL is "". */
void grid_set(struct grid *grid, size_t column, const char *word);
void grid_print(struct ga_buffer *text, const struct grid *grid, const struct terminal *terminal);

#endif
