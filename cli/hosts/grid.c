/* SPDX-License-Identifier: Apache-2.0 */
/* A table of words; see grid.h. */
#include "hosts/grid.h"

#include "columns.h"
#include "text.h"

#include <string.h>

enum { GAP = 2 };

void grid_free(struct grid *grid)
{
	for (size_t i = 0; i < grid->row_count * grid->column_count; i++)
		free(grid->cells[i]);
	free(grid->cells);
	free(grid->colours);
}

void grid_row(struct grid *grid, enum colour colour)
{
	size_t cells = grid->row_count * grid->column_count;
	char **longer = reallocarray(grid->cells, cells + grid->column_count, sizeof *longer);
	enum colour *colours;

	if (longer)
		grid->cells = longer;
	colours = reallocarray(grid->colours, grid->row_count + 1, sizeof *colours);
	if (colours)
		grid->colours = colours;
	grid->failed = grid->failed || !longer || !colours;
	if (grid->failed)
		return;
	for (size_t i = 0; i < grid->column_count; i++)
		longer[cells + i] = NULL;
	colours[grid->row_count++] = colour;
}

void grid_set(struct grid *grid, size_t column, const char *word)
{
	char **cell;

	if (grid->failed || !word)
		return;
	cell = &grid->cells[(grid->row_count - 1) * grid->column_count + column];
	free(*cell);
	*cell = ga_text_clean(word, strlen(word));
	grid->failed = !*cell;
}

static const char *cell_of(const struct grid *grid, size_t row, size_t column)
{
	const char *word = grid->cells[row * grid->column_count + column];

	return word ? word : "";
}

/* ---- widths ---- */

static size_t total(const struct grid *grid, const size_t *width)
{
	size_t sum = 0;

	for (size_t i = 0; i < grid->column_count; i++)
		if (width[i])
			sum += width[i] + (i ? GAP : 0);
	return sum;
}

/* 0 for a column with nothing in it. */
static size_t widest(const struct grid *grid, size_t column)
{
	size_t width = 0, title = columns_of(grid->columns[column].title);

	for (size_t row = 0; row < grid->row_count; row++) {
		size_t needed = columns_of(cell_of(grid, row, column));

		width = needed > width ? needed : width;
	}
	return width > 0 && width < title ? title : width;
}

static void fit(const struct grid *grid, size_t *width, size_t room)
{
	for (size_t i = 0; i < grid->column_count; i++)
		width[i] = widest(grid, i);
	/* The last columns are the wordiest. */
	for (size_t i = grid->column_count; i > 0; i--) {
		size_t least = grid->columns[i - 1].least, sum = total(grid, width), spare;

		if (least == 0 || width[i - 1] <= least || sum <= room)
			continue;
		spare = width[i - 1] - least;
		width[i - 1] -= sum - room < spare ? sum - room : spare;
	}
	for (size_t turn = 1; turn <= grid->column_count; turn++)
		for (size_t i = 0; i < grid->column_count; i++)
			if (grid->columns[i].drop == turn && total(grid, width) > room)
				width[i] = 0;
}

/* ---- lines ---- */

static void add_line(struct ga_buffer *text, const struct grid *grid, const size_t *width,
		     const struct terminal *terminal, size_t row)
{
	bool is_title = row == grid->row_count;
	size_t blanks = 0;

	for (size_t i = 0; i < grid->column_count; i++) {
		const char *word = is_title ? grid->columns[i].title : cell_of(grid, row, i);
		enum colour colour = is_title              ? COLOUR_DIM
				     : i == grid->coloured ? grid->colours[row]
							   : COLOUR_NONE;
		size_t needed = columns_of(word), used = needed < width[i] ? needed : width[i];

		if (!width[i])
			continue;
		if (grid->columns[i].right)
			blanks += width[i] - used;
		if (used > 0) {
			ga_buffer_repeat(text, ' ', blanks);
			blanks = 0;
			colour_start(text, terminal, colour);
			columns_cut(text, word, width[i]);
			colour_end(text, terminal, colour);
		}
		blanks += GAP + (grid->columns[i].right && used > 0 ? 0 : width[i] - used);
	}
	ga_buffer_char(text, '\n');
}

void grid_print(struct ga_buffer *text, const struct grid *grid, const struct terminal *terminal)
{
	size_t width[GRID_COLUMNS_MOST];

	text->failed = text->failed || grid->failed;
	if (grid->failed || grid->row_count == 0)
		return;
	fit(grid, width, terminal->width);
	add_line(text, grid, width, terminal, grid->row_count);
	for (size_t row = 0; row < grid->row_count; row++)
		add_line(text, grid, width, terminal, row);
}
