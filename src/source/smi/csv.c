/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of `nvidia-smi --query-gpu`. Columns are found by the names in its header, in any order
 * and among any others; lines before the header are skipped. If a GPU has several rows (a query in
 * a loop), the last one counts, because it is the newest.
 */
#include "smi.h"

#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

enum {
	COLUMNS_MAX = 1024,
	ROWS_MAX = 16384, /* of which GA_DEVICES_MAX may be different GPUs */
};

struct table {
	const struct ga_smi_field *columns[COLUMNS_MAX]; /* NULL if not one of ours */
	size_t column_count;
	size_t driver; /* the column of driver_version; COLUMNS_MAX if there is none */
	struct ga_view *rows;
	struct ga_view *keys; /* for each row the cell that tells its GPU from others, if any */
	size_t row_count;
};

static void free_table(struct table *table)
{
	free(table->rows);
	free(table->keys);
}

/* Takes a cell off *rest; a cell in quotes may hold commas. */
static struct ga_view next_cell(struct ga_view *rest, bool *ret_more)
{
	struct ga_view view = ga_view_trim(rest->text, rest->size), cell;
	const char *quote = view.size > 1 && *view.text == '"'
				    ? memchr(view.text + 1, '"', view.size - 1)
				    : NULL;
	const char *from = quote ? quote + 1 : view.text;
	const char *comma = memchr(from, ',', (size_t)(view.text + view.size - from));
	size_t length = comma ? (size_t)(comma - view.text) : view.size;

	cell = quote ? (struct ga_view){view.text + 1, (size_t)(quote - view.text - 1)}
		     : (struct ga_view){view.text, length};
	*ret_more = comma != NULL;
	rest->text = view.text + length + (comma ? 1 : 0);
	rest->size = view.size - length - (comma ? 1 : 0);
	return ga_view_trim(cell.text, cell.size);
}

/* The cells of a line, at most room of them; returns how many the line has. */
static size_t split(struct ga_view line, struct ga_view *cells, size_t room)
{
	size_t count = 0;
	bool more = true;

	for (; more; count++) {
		struct ga_view cell = next_cell(&line, &more);

		if (count < room)
			cells[count] = cell;
	}
	return count;
}

/* "memory.total [MiB]" is memory.total; a blank elsewhere means that it is not a field. */
static bool is_field_name(struct ga_view cell, struct ga_view *ret_name)
{
	const char *unit = memchr(cell.text, '[', cell.size);
	struct ga_view name =
		ga_view_trim(cell.text, unit ? (size_t)(unit - cell.text) : cell.size);

	for (size_t i = 0; i < name.size; i++) {
		char c = name.text[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '_' ||
		      (i > 0 && c >= '0' && c <= '9')))
			return false;
	}
	*ret_name = name;
	return name.size > 0;
}

static void set_column(struct table *table, size_t i, struct ga_view name)
{
	table->columns[i] = ga_smi_field_by_query(name);
	if (ga_text_equal(name.text, name.size, "driver_version"))
		table->driver = i;
}

/* A header has only field names, one of them ours: returns its number of columns, or 0. */
static size_t header_names(struct ga_view line, struct ga_view names[static COLUMNS_MAX])
{
	size_t count = split(line, names, COLUMNS_MAX), ours = 0;

	for (size_t i = 0; i < count && count <= COLUMNS_MAX; i++) {
		if (!is_field_name(names[i], &names[i]))
			return 0;
		ours += ga_smi_field_by_query(names[i]) != NULL;
	}
	return ours > 0 ? count : 0;
}

static bool find_header(struct table *table, struct ga_view *rest)
{
	struct ga_view left = *rest, line, names[COLUMNS_MAX];

	while (ga_view_line(&left, &line)) {
		table->column_count = header_names(line, names);
		if (table->column_count == 0)
			continue;
		for (size_t i = 0; i < table->column_count; i++)
			set_column(table, i, names[i]);
		*rest = left;
		return true;
	}
	return false;
}

static void columns_as_asked(struct table *table, const char *const *asked, size_t count)
{
	table->column_count = count < COLUMNS_MAX ? count : COLUMNS_MAX;
	for (size_t i = 0; i < table->column_count; i++)
		set_column(table, i, (struct ga_view){asked[i], strlen(asked[i])});
}

/*
 * The cells of a row, as many as there are columns. nvidia-smi does not quote, so extra cells come
 * from commas in the name, the one text that may have them. False if it is not such a row.
 */
static bool row_cells(const struct table *table, struct ga_view line,
		      struct ga_view cells[static COLUMNS_MAX])
{
	size_t count = split(line, cells, COLUMNS_MAX), name = 0, extra;

	if (count > COLUMNS_MAX || count < table->column_count)
		return false;
	extra = count - table->column_count;
	if (extra == 0)
		return true;
	while (name < table->column_count &&
	       !(table->columns[name] && strcmp(table->columns[name]->query, "name") == 0))
		name++;
	if (name == table->column_count)
		return false;
	cells[name].size =
		(size_t)(cells[name + extra].text + cells[name + extra].size - cells[name].text);
	memmove(&cells[name + 1], &cells[name + 1 + extra],
		(table->column_count - name - 1) * sizeof *cells);
	return true;
}

/* The cell that names the GPU of a row: the first of index, uuid and address with a value. */
static struct ga_view key_of(const struct table *table, const struct ga_view *cells)
{
	static const char *const names[] = {"index", "uuid", "pci.bus_id"};

	for (size_t n = 0; n < sizeof names / sizeof *names; n++)
		for (size_t i = 0; i < table->column_count; i++)
			if (table->columns[i] && strcmp(table->columns[i]->query, names[n]) == 0 &&
			    ga_smi_word(cells[i]) == GA_SMI_VALUE)
				return cells[i];
	return (struct ga_view){"", 0};
}

static int add_row(struct table *table, struct ga_view line, struct ga_view key,
		   gpualloc_error *error)
{
	size_t place = 0;

	while (place < table->row_count &&
	       !(key.size > 0 && key.size == table->keys[place].size &&
		 memcmp(key.text, table->keys[place].text, key.size) == 0))
		place++;
	if (place == GA_DEVICES_MAX)
		return ga_error_set(error, GPUALLOC_EDATA, "more than %d GPUs", GA_DEVICES_MAX);
	table->rows[place] = line;
	table->keys[place] = key;
	table->row_count += place == table->row_count;
	return 0;
}

/* If something is wrong, sentences come between the rows: "WARNING: infoROM is corrupted …". */
static bool is_sentence(struct ga_view line)
{
	struct ga_view first;
	bool more;

	line = ga_view_trim(line.text, line.size);
	if (line.size == 0)
		return true;
	first = next_cell(&line, &more);
	return !more || memmem(first.text, first.size, ": ", 2) != NULL;
}

static int gather_rows(struct table *table, struct ga_view rest, gpualloc_error *error)
{
	struct ga_view cells[COLUMNS_MAX], line;
	size_t seen = 0;
	int result = 0;

	while (result == 0 && ga_view_line(&rest, &line)) {
		/* A loop may print its header again. */
		if ((table->column_count > 1 && is_sentence(line)) || header_names(line, cells) > 0)
			continue;
		if (!row_cells(table, line, cells))
			return ga_error_set(error, GPUALLOC_EDATA,
					    "row %zu has %zu cells, but there are %zu columns",
					    seen + 1, split(line, cells, 0), table->column_count);
		if (++seen > ROWS_MAX)
			return ga_error_set(error, GPUALLOC_EDATA, "more than %d rows", ROWS_MAX);
		result = add_row(table, line, key_of(table, cells), error);
	}
	return result;
}

static int take_row(const struct table *table, struct ga_view line, gpualloc_machine *part)
{
	struct ga_view cells[COLUMNS_MAX];
	struct gpualloc_device *device = ga_machine_add_device(part);
	int result = device ? 0 : GPUALLOC_ENOMEM;

	(void)row_cells(table, line, cells);
	for (size_t i = 0; result == 0 && i < table->column_count; i++) {
		if (i == table->driver && ga_smi_word(cells[i]) == GA_SMI_VALUE)
			result = ga_set_text_sized(&part->driver, cells[i].text, cells[i].size);
		else
			result = ga_smi_take(table->columns[i], device, cells[i]);
	}
	return result;
}

int ga_smi_csv_read(const char *text, size_t size, const char *const *asked, size_t asked_count,
		    gpualloc_machine **ret_part, gpualloc_error *error)
{
	ga_cleanup(free_table) struct table table = {0};
	ga_auto_machine gpualloc_machine *part = NULL;
	struct ga_view rest = {text, size};
	int result = ga_machine_new(0, &part, error);

	if (result < 0)
		return result;
	table.driver = COLUMNS_MAX;
	table.rows = calloc(GA_DEVICES_MAX, sizeof *table.rows);
	table.keys = calloc(GA_DEVICES_MAX, sizeof *table.keys);
	if (!table.rows || !table.keys)
		return ga_error_memory(error);
	if (!find_header(&table, &rest))
		columns_as_asked(&table, asked, asked_count);
	result = gather_rows(&table, rest, error);
	for (size_t i = 0; result == 0 && i < table.row_count; i++)
		if (take_row(&table, table.rows[i], part) < 0)
			result = ga_error_memory(error);
	if (result == 0 && part->device_count == 0)
		result = ga_error_set(error, GPUALLOC_EDATA, "the table has no row for a GPU");
	if (result == 0)
		*ret_part = ga_steal(&part);
	return result;
}
