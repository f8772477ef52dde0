/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of `nvidia-smi topo -m` as a source, in whatever shape people have kept it. The first
 * complete matrix becomes the machine. A matrix that lacks a row or a cell, or is not symmetric, is
 * refused with its line number. NIC rows are not needed: the GPUs' rows say the same.
 */
#include "matrix.h"

#include "cleanup.h"
#include "source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
	size_t line; /* 0 if not seen yet */
	struct ga_topo_cell *cells;
	struct ga_view digits; /* of the last cell, if it is an NVLink cell */
	struct ga_view tail;   /* after the last cell */
	size_t tail_at;
};

/* A GPU's number and its place in the header; sorted by number they are the devices. */
struct place {
	int32_t gpu;
	size_t column;
};

struct matrix {
	struct ga_topo_header header; /* line 0 if there is none yet */
	struct place *places;
	struct row *rows; /* as many as devices */
	size_t devices, seen;
	size_t columns; /* including those before the first GPU; known from the first row on */
	size_t shift;   /* how many come before the first GPU */
};

struct reader {
	struct matrix matrix;
	const char *end;
	size_t line;
	size_t stray; /* line of a row without a header */
	int64_t stray_gpu;
	int failed;
	gpualloc_error *error; /* why the first matrix was refused; NULL once known */
};

static void matrix_clear(struct matrix *matrix)
{
	for (size_t i = 0; matrix->rows && i < matrix->devices; i++)
		free(matrix->rows[i].cells);
	free(matrix->rows);
	free(matrix->places);
	ga_topo_header_free(&matrix->header);
	*matrix = (struct matrix){0};
}

static void reader_clear(struct reader *reader)
{
	matrix_clear(&reader->matrix);
}
#define auto_reader ga_cleanup(reader_clear)

/* ---- the header: which columns are devices ---- */

static int by_gpu(const void *a, const void *b)
{
	int32_t one = ((const struct place *)a)->gpu, other = ((const struct place *)b)->gpu;

	return (one > other) - (one < other);
}

static const struct place *find_place(const struct matrix *matrix, int64_t gpu)
{
	struct place wanted = {.gpu = (int32_t)gpu};

	return bsearch(&wanted, matrix->places, matrix->devices, sizeof wanted, by_gpu);
}

static int place_devices(struct reader *reader)
{
	struct matrix *matrix = &reader->matrix;
	const struct ga_topo_header *header = &matrix->header;

	for (size_t i = 0; i < header->count; i++)
		matrix->devices += header->gpus[i] >= 0;
	if (matrix->devices > GA_DEVICES_MAX ||
	    header->count + header->before > GA_TOPO_COLUMNS_MAX)
		return ga_error_set(reader->error, GPUALLOC_EDATA,
				    "line %zu: %zu GPUs in %zu columns are too many (%d in %d)",
				    header->line, matrix->devices, header->count, GA_DEVICES_MAX,
				    GA_TOPO_COLUMNS_MAX);
	matrix->places = calloc(matrix->devices, sizeof *matrix->places);
	matrix->rows = calloc(matrix->devices, sizeof *matrix->rows);
	if (!matrix->places || !matrix->rows)
		return ga_error_memory(reader->error);
	for (size_t i = 0, device = 0; i < header->count; i++)
		if (header->gpus[i] >= 0)
			matrix->places[device++] = (struct place){header->gpus[i], i};
	qsort(matrix->places, matrix->devices, sizeof *matrix->places, by_gpu);
	for (size_t i = 1; i < matrix->devices; i++)
		if (matrix->places[i].gpu == matrix->places[i - 1].gpu)
			return ga_error_set(reader->error, GPUALLOC_EDATA,
					    "line %zu: GPU%d has two columns", header->line,
					    (int)matrix->places[i].gpu);
	return 0;
}

/* ---- the rows ---- */

/*
 * Words before the first GPU of the header are NICs, or a prefix of every line; the place of the X
 * in the first row says which.
 */
static int find_shift(struct reader *reader, const struct place *place, struct ga_view cells)
{
	struct matrix *matrix = &reader->matrix;
	struct ga_topo_cell cell = {0};
	struct ga_view digits;
	size_t count = 0;

	while (ga_topo_cell_next(&cells, &cell, &digits) && cell.level != GPUALLOC_LEVEL_SELF)
		count++;
	if (cell.level != GPUALLOC_LEVEL_SELF)
		return ga_error_set(reader->error, GPUALLOC_EDATA,
				    "line %zu: the row of GPU%d ends after %zu cells, without an X",
				    reader->line, (int)place->gpu, count);
	if (count < place->column || count - place->column > matrix->header.before)
		return ga_error_set(reader->error, GPUALLOC_EDATA,
				    "line %zu: the row of GPU%d has its X in column %zu, but the "
				    "header in line %zu has GPU%d in column %zu",
				    reader->line, (int)place->gpu, count + 1, matrix->header.line,
				    (int)place->gpu, place->column + 1);
	matrix->shift = count - place->column;
	matrix->columns = matrix->header.count + matrix->shift;
	return 0;
}

/* Up to 12 characters of the text in place of a cell, made safe to show. */
static const char *show(struct ga_view rest, char shown[static 16])
{
	size_t length = 0;

	rest = ga_view_trim(rest.text, rest.size);
	while (length < rest.size && length < 12 && rest.text[length] > ' ' &&
	       rest.text[length] < 0x7f) {
		shown[length] = rest.text[length];
		length++;
	}
	shown[length] = '\0';
	return shown;
}

static int read_cells(struct reader *reader, const struct place *place, struct row *row,
		      struct ga_view *rest)
{
	struct matrix *matrix = &reader->matrix;
	char shown[16];

	row->cells = calloc(matrix->columns, sizeof *row->cells);
	if (!row->cells)
		return ga_error_memory(reader->error);
	for (size_t i = 0; i < matrix->columns; i++) {
		bool own = i == place->column + matrix->shift;

		if (!ga_topo_cell_next(rest, &row->cells[i], &row->digits))
			return ga_error_set(reader->error, GPUALLOC_EDATA,
					    "line %zu: the row of GPU%d ends after %zu of %zu "
					    "columns, at \"%s\"",
					    reader->line, (int)place->gpu, i, matrix->columns,
					    show(*rest, shown));
		if (own != (row->cells[i].level == GPUALLOC_LEVEL_SELF))
			return ga_error_set(reader->error, GPUALLOC_EDATA,
					    "line %zu: the row of GPU%d has %s X in column %zu",
					    reader->line, (int)place->gpu, own ? "no" : "an",
					    i + 1);
	}
	return 0;
}

static int add_row(struct reader *reader, int64_t gpu, struct ga_view line, struct ga_view cells)
{
	struct matrix *matrix = &reader->matrix;
	const struct place *place = find_place(matrix, gpu);
	struct row *row = place ? &matrix->rows[place - matrix->places] : NULL;
	struct ga_topo_cell more;
	struct ga_view digits, rest = cells;
	int result = 0;

	if (!place)
		return ga_error_set(reader->error, GPUALLOC_EDATA,
				    "line %zu: a row of GPU%lld, which the header in line %zu does "
				    "not have",
				    reader->line, (long long)gpu, matrix->header.line);
	if (row->line > 0)
		return ga_error_set(reader->error, GPUALLOC_EDATA,
				    "line %zu: a second row of GPU%d; the first is in line %zu",
				    reader->line, (int)place->gpu, row->line);
	if (matrix->columns == 0)
		result = find_shift(reader, place, cells);
	if (result == 0)
		result = read_cells(reader, place, row, &rest);
	if (result < 0)
		return result;
	row->line = reader->line;
	row->tail = rest;
	row->tail_at = line.size - rest.size;
	matrix->seen++;
	if (ga_topo_cell_next(&rest, &more, &digits) &&
	    (more.level != GPUALLOC_LEVEL_UNKNOWN || more.nvlinks > 0))
		return ga_error_set(reader->error, GPUALLOC_EDATA,
				    "line %zu: the row of GPU%d has more cells than the header in "
				    "line %zu has columns (%zu)",
				    reader->line, (int)place->gpu, matrix->header.line,
				    matrix->columns);
	return 0;
}

/* ---- from the rows to the machine ---- */

static size_t column_of(const struct matrix *matrix, size_t device)
{
	return matrix->places[device].column + matrix->shift;
}

static struct ga_topo_cell *cell_at(const struct matrix *matrix, size_t i, size_t j)
{
	return &matrix->rows[i].cells[column_of(matrix, j)];
}

static bool touches_a_list(const struct row *row)
{
	return row->digits.size > 0 && row->tail.size > 0 &&
	       (row->tail.text[0] == '-' || row->tail.text[0] == ',');
}

/*
 * "NV120-23" is 12 NVLinks and CPUs 0-23 if the same pair is NV12 in the other's row: then the rest
 * of the digits go back to the affinity.
 */
static void part_digits(const struct matrix *matrix, size_t device, size_t last)
{
	struct row *row = &matrix->rows[device];
	int nvlinks = cell_at(matrix, last, device)->nvlinks;
	char digits[16];
	size_t length = (size_t)snprintf(digits, sizeof digits, "%d", nvlinks), rest;

	if (nvlinks <= 0 || length >= row->digits.size ||
	    memcmp(digits, row->digits.text, length) != 0)
		return;
	rest = row->digits.size - length;
	cell_at(matrix, device, last)->nvlinks = (int16_t)nvlinks;
	row->tail_at -= rest;
	row->tail.size += rest;
	row->tail.text -= rest;
}

static void part_all_digits(const struct matrix *matrix)
{
	size_t last = 0;

	while (last < matrix->devices && column_of(matrix, last) != matrix->columns - 1)
		last++;
	for (size_t i = 0; last < matrix->devices && i < matrix->devices; i++)
		if (touches_a_list(&matrix->rows[i]))
			part_digits(matrix, i, last);
}

static bool is_known(const struct ga_topo_cell *cell)
{
	return cell->level != GPUALLOC_LEVEL_UNKNOWN || cell->nvlinks >= 0;
}

static const char *cell_name(const struct ga_topo_cell *cell, char name[static 16])
{
	if (cell->nvlinks > 0)
		(void)snprintf(name, 16, "NV%d", cell->nvlinks);
	else
		(void)snprintf(name, 16, "%s", ga_level_name(cell->level));
	return name;
}

/* Says how the two rows of a pair contradict each other. */
static int refuse_pair(const struct reader *reader, size_t i, size_t j)
{
	const struct matrix *matrix = &reader->matrix;
	char one[16], other[16];

	return ga_error_set(reader->error, GPUALLOC_EDATA,
			    "line %zu: the row of GPU%d has %s in the column of GPU%d, but the row "
			    "of GPU%d in line %zu has %s for the same pair",
			    matrix->rows[j].line, (int)matrix->places[j].gpu,
			    cell_name(cell_at(matrix, j, i), one), (int)matrix->places[i].gpu,
			    (int)matrix->places[i].gpu, matrix->rows[i].line,
			    cell_name(cell_at(matrix, i, j), other));
}

/* NV0, NV99999: the level is not known; there are NVLinks, but not how many. */
static bool is_nonsense(const struct ga_topo_cell *cell)
{
	return cell->level == GPUALLOC_LEVEL_UNKNOWN && cell->nvlinks == 0;
}

/* Takes each pair from both rows, which must agree unless one says nothing. */
static int set_links(struct reader *reader, gpualloc_machine *machine)
{
	const struct matrix *matrix = &reader->matrix;

	for (size_t i = 0; i < matrix->devices; i++)
		for (size_t j = 0; j < i; j++) {
			struct ga_topo_cell *a = cell_at(matrix, j, i);
			struct ga_topo_cell *b = cell_at(matrix, i, j);

			if (is_nonsense(a) || is_nonsense(b))
				return ga_error_set(
					reader->error, GPUALLOC_EDATA,
					"line %zu: the row of GPU%d has an impossible number of "
					"NVLinks in the column of GPU%d",
					matrix->rows[is_nonsense(a) ? j : i].line,
					(int)matrix->places[is_nonsense(a) ? j : i].gpu,
					(int)matrix->places[is_nonsense(a) ? i : j].gpu);
			if (is_known(a) && is_known(b) &&
			    (a->level != b->level || a->nvlinks != b->nvlinks))
				return refuse_pair(reader, j, i);
			*a = *b = is_known(a) ? *a : *b;
			ga_links_set_level(&machine->links, i, j, a->level);
			ga_links_set_nvlinks(&machine->links, i, j, a->nvlinks);
		}
	return 0;
}

static int set_places(const struct reader *reader, gpualloc_machine *machine)
{
	const struct matrix *matrix = &reader->matrix;
	size_t most = 0;

	for (size_t i = 0; i < matrix->devices; i++) {
		const struct row *row = &matrix->rows[i];
		struct ga_topo_affinity affinity =
			ga_topo_affinity_read(&matrix->header, row->tail, row->tail_at);

		most = affinity.words > most ? affinity.words : most;
	}
	for (size_t i = 0; i < matrix->devices; i++) {
		const struct row *row = &matrix->rows[i];
		struct gpualloc_device *device = &machine->devices[i];
		struct ga_topo_affinity affinity =
			ga_topo_affinity_read(&matrix->header, row->tail, row->tail_at);

		device->index = matrix->places[i].gpu;
		/* If the text breaks off inside a row, its last word may be half a word. */
		if (row->tail.text + row->tail.size == reader->end && affinity.words < most)
			continue;
		device->numa = affinity.numa;
		if (affinity.cpus.size > 0 &&
		    ga_set_text_sized(&device->cpus, affinity.cpus.text, affinity.cpus.size) < 0)
			return ga_error_memory(reader->error);
	}
	return 0;
}

static int infer_links(const struct reader *reader, gpualloc_machine *machine)
{
	const struct matrix *matrix = &reader->matrix;
	ga_auto_free struct ga_topo_cell **cells = calloc(matrix->devices, sizeof *cells);
	ga_auto_free size_t *own = calloc(matrix->devices, sizeof *own);
	struct ga_topo_links read = {.columns = matrix->columns};

	if (!cells || !own)
		return ga_error_memory(reader->error);
	for (size_t i = 0; i < matrix->devices; i++) {
		cells[i] = matrix->rows[i].cells;
		own[i] = column_of(matrix, i);
	}
	read.cells = cells;
	read.own = own;
	if (ga_topo_infer(&read, machine) < 0)
		return ga_error_memory(reader->error);
	return 0;
}

static int make_machine(struct reader *reader, gpualloc_machine **ret_machine)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	int result = ga_machine_new(reader->matrix.devices, &machine, reader->error);

	if (result == 0) {
		part_all_digits(&reader->matrix);
		result = set_links(reader, machine);
	}
	if (result == 0)
		result = set_places(reader, machine);
	if (result == 0)
		result = infer_links(reader, machine);
	if (result == 0 && ga_set_text(&machine->source, "topo") < 0)
		result = ga_error_memory(reader->error);
	if (result == 0)
		result = ga_machine_finish(machine, reader->error);
	if (result == 0)
		*ret_machine = ga_steal(&machine);
	return result;
}

/* ---- the text ---- */

static int missing_row(struct reader *reader, const char *what)
{
	const struct matrix *matrix = &reader->matrix;
	size_t i = 0;

	while (matrix->rows[i].line > 0)
		i++;
	return ga_error_set(reader->error, GPUALLOC_EDATA,
			    "line %zu: %s, but the row of GPU%d is missing (the header in line %zu "
			    "has %zu GPUs, and there are %zu rows)",
			    reader->line, what, (int)matrix->places[i].gpu, matrix->header.line,
			    matrix->devices, matrix->seen);
}

/* Ends the matrix that was being read, if any, and begins another. */
static int take_header(struct reader *reader, struct ga_view line)
{
	struct ga_topo_header header = {0};
	int result = ga_topo_header_read(line, &header);

	if (result < 0)
		return ga_error_memory(reader->error);
	if (result == 0)
		return 0;
	if (reader->matrix.seen > 0) {
		reader->failed = missing_row(reader, "another header");
		reader->error = NULL;
	}
	matrix_clear(&reader->matrix);
	reader->matrix.header = header;
	reader->matrix.header.line = reader->line;
	return place_devices(reader);
}

static int take_line(struct reader *reader, struct ga_view line)
{
	struct ga_view cells;
	int64_t gpu;

	if (!ga_topo_row_find(line, &gpu, &cells))
		return take_header(reader, line);
	if (reader->matrix.header.line > 0)
		return add_row(reader, gpu, line, cells);
	if (reader->stray == 0) {
		reader->stray = reader->line;
		reader->stray_gpu = gpu;
	}
	return 0;
}

/* Why a text that has been read to its end has no machine in it. */
static int explain(struct reader *reader, const char *text, size_t size)
{
	struct ga_view rest = {text, size}, line = {text, 0};

	if (reader->failed < 0)
		return reader->failed;
	if (reader->matrix.header.line > 0)
		return missing_row(reader, "the text ends here");
	if (reader->stray > 0)
		return ga_error_set(reader->error, GPUALLOC_EDATA,
				    "line %zu: a row of GPU%lld with no header above it",
				    reader->stray, (long long)reader->stray_gpu);
	while (line.size == 0 && ga_view_line(&rest, &line))
		line = ga_view_trim(line.text, line.size);
	if (line.size > 0 && line.size < 200 && ga_text_is_clean(line.text, line.size))
		return ga_error_set(reader->error, GPUALLOC_EDATA,
				    "line 1: this is not a matrix as `nvidia-smi topo -m` prints "
				    "it; the text starts with \"%.*s\"",
				    (int)line.size, line.text);
	return ga_error_set(reader->error, GPUALLOC_EDATA,
			    "line 1: this is not a matrix as `nvidia-smi topo -m` prints it");
}

static int read_lines(struct reader *reader, const char *text, size_t size,
		      gpualloc_machine **ret_machine)
{
	struct ga_view rest = {text, size}, line;
	struct matrix *matrix = &reader->matrix;

	while (ga_view_line(&rest, &line)) {
		int result;

		reader->line++;
		result = take_line(reader, line);
		if (result == 0 && matrix->seen > 0 && matrix->seen == matrix->devices)
			return make_machine(reader, ret_machine);
		if (result == GPUALLOC_ENOMEM)
			return result;
		if (result < 0) {
			/* A log may contain a matrix of another kind, or a broken one, first. */
			reader->failed = result;
			reader->error = NULL;
			matrix_clear(matrix);
		}
	}
	return explain(reader, text, size);
}

static int read_text(const char *text, size_t size, gpualloc_machine **ret_machine,
		     gpualloc_error *error)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	ga_auto_free char *clean = NULL;
	size_t clean_size = 0;
	gpualloc_error why = {0};
	auto_reader struct reader reader = {.error = &why};
	int result, p2p;

	if (ga_topo_clean(text, size, &clean, &clean_size) < 0)
		return ga_error_memory(error);
	reader.end = clean + clean_size;
	result = read_lines(&reader, clean, clean_size, &machine);
	p2p = result == GPUALLOC_ENOMEM ? result : ga_topo_p2p_read(clean, clean_size, machine);
	if (p2p < 0)
		return ga_error_memory(error);
	if (result < 0 && p2p > 0)
		return ga_error_set(error, result,
				    "this is the matrix of `nvidia-smi topo -p2p`, which shows "
				    "peer-to-peer but no links; put it after that of `nvidia-smi "
				    "topo -m`");
	if (result < 0)
		return ga_error_set(error, result, "%s", why.message);
	*ret_machine = ga_steal(&machine);
	return 0;
}

/* If memory runs out here, reading the text will say so. */
static bool recognises(const char *text, size_t size)
{
	ga_auto_free char *clean = NULL;
	size_t clean_size = 0;
	struct ga_view rest = ga_view_trim(text, size), line;

	if (rest.size == 0 || rest.text[0] == '{' || rest.text[0] == '<')
		return false;
	if (ga_topo_clean(text, size, &clean, &clean_size) < 0)
		return true;
	rest = (struct ga_view){clean, clean_size};
	while (ga_view_line(&rest, &line)) {
		struct ga_topo_header header = {0};
		struct ga_view cells;
		int64_t gpu;
		int result = ga_topo_row_find(line, &gpu, &cells)
				     ? 1
				     : ga_topo_header_read(line, &header);

		ga_topo_header_free(&header);
		if (result != 0)
			return true;
	}
	return false;
}

const struct ga_source ga_source_topo_matrix = {
	.name = "topo matrix",
	.description = "a text with the output of nvidia-smi topo -m",
	.recognises = recognises,
	.read = read_text,
};
