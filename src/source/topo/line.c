/* SPDX-License-Identifier: Apache-2.0 */
/* What one line of a topology matrix says; see matrix.h. Every scan is linear in the line. */
#include "matrix.h"

#include <stdlib.h>
#include <string.h>

/* ---- bytes that only show how the text was displayed, or where it was copied from ---- */

/* The length of the escape code at text, which starts with ESC; never past the end of the line. */
static size_t escape_length(const char *text, size_t size)
{
	size_t i = 1;

	if (size < 2 || text[1] == '\n' || text[1] == '\r')
		return 1;
	if (text[1] == '(' || text[1] == ')')
		return size > 2 && text[2] != '\n' ? 3 : 2;
	if (text[1] != '[' && text[1] != ']')
		return 2;
	/* A control sequence ends with a letter or its like, a title with BEL or another ESC. */
	for (i = 2; i < size && text[i] != '\n' && text[i] != '\r'; i++) {
		if (text[1] == '[' && text[i] >= 0x40 && text[i] <= 0x7e)
			return i + 1;
		if (text[1] == ']' && text[i] == '\a')
			return i + 1;
		if (text[1] == ']' && text[i] == '\033')
			return i;
	}
	return i;
}

/* Characters that are used like a blank: their length; 0 for all others. */
static size_t blank_like(const char *text, size_t size)
{
	static const char *const blanks[] = {"|", "\xc2\xa0", "\xe2\x94\x82", "\xef\xbb\xbf"};

	for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++) {
		size_t length = strlen(blanks[i]);

		if (length <= size && memcmp(text, blanks[i], length) == 0)
			return length;
	}
	return (unsigned char)text[0] < 0x20 && text[0] != '\n' && text[0] != '\t';
}

int ga_topo_clean(const char *text, size_t size, char **ret_text, size_t *ret_size)
{
	char *clean = malloc(size + 1);
	size_t out = 0;

	if (!clean)
		return GPUALLOC_ENOMEM;
	for (size_t i = 0, taken; i < size; i += taken) {
		taken = 1;
		if (text[i] == '\0') /* UTF-16, as Windows redirects */
			continue;
		if (text[i] == '\r') {
			if (i + 1 == size || text[i + 1] != '\n')
				clean[out++] = '\n';
			continue;
		}
		if (text[i] == '\033') {
			taken = escape_length(text + i, size - i);
			continue;
		}
		taken = blank_like(text + i, size - i);
		clean[out++] = taken > 0 ? ' ' : text[i];
		taken += taken == 0;
	}
	clean[out] = '\0';
	*ret_text = clean;
	*ret_size = out;
	return 0;
}

/* ---- words ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static struct ga_view skip(struct ga_view view, size_t count)
{
	return (struct ga_view){view.text + count, view.size - count};
}

static struct ga_view skip_blanks(struct ga_view view)
{
	while (view.size > 0 && (view.text[0] == ' ' || view.text[0] == '\t'))
		view = skip(view, 1);
	return view;
}

static bool starts_with(struct ga_view view, const char *word)
{
	size_t length = strlen(word);

	return view.size >= length && memcmp(view.text, word, length) == 0;
}

static size_t digit_count(struct ga_view view)
{
	size_t count = 0;

	while (count < view.size && is_digit(view.text[count]))
		count++;
	return count;
}

/* "GPU12": the length of the name; 0 if it is not one, or the number is too long. */
static size_t gpu_name(struct ga_view view, int64_t *ret_gpu)
{
	size_t digits;

	if (!starts_with(view, "GPU"))
		return 0;
	digits = digit_count(skip(view, 3));
	if (!ga_text_number(view.text + 3, digits, INT32_MAX, ret_gpu))
		return 0;
	return 3 + digits;
}

/* Where a word starts even if it touches the one before. */
static bool starts_name(struct ga_view view)
{
	static const char *const numbered[] = {"GPU", "NIC", "mlx"};

	for (size_t i = 0; i < sizeof numbered / sizeof *numbered; i++)
		if (starts_with(view, numbered[i]) && view.size > 3 && is_digit(view.text[3]))
			return true;
	return starts_with(view, "CPU") || starts_with(view, "NUMA");
}

/* mlx5_0, NIC11, ib0, mlx5_bond_0, …: begins with a letter and has a number; otherwise 0. */
static size_t nic_name(struct ga_view view)
{
	bool number = false;
	size_t length = 0;

	if (view.size == 0 || !is_letter(view.text[0]) || starts_with(view, "CPU") ||
	    starts_with(view, "NUMA") || starts_with(view, "GPU"))
		return 0;
	for (; length < view.size; length++) {
		char c = view.text[length];

		if (!is_letter(c) && !is_digit(c) && !strchr("_-.:", c))
			break;
		if (length > 0 && starts_name(skip(view, length)))
			break;
		number = number || is_digit(c);
	}
	return number ? length : 0;
}

/* Takes off the name of a column; *ret_gpu is -1 for a NIC. */
static bool column_next(struct ga_view *rest, int64_t *ret_gpu)
{
	struct ga_view view = skip_blanks(*rest);
	size_t length = gpu_name(view, ret_gpu);

	if (length == 0) {
		*ret_gpu = -1;
		length = nic_name(view);
	}
	if (length == 0)
		return false;
	*rest = skip(view, length);
	return true;
}

/* ---- the header ---- */

static bool find_first_gpu(struct ga_view line, size_t *ret_at)
{
	int64_t gpu;

	for (size_t at = 0; at + 3 < line.size; at++)
		if (line.text[at] == 'G' && gpu_name(skip(line, at), &gpu) > 0) {
			*ret_at = at;
			return true;
		}
	return false;
}

/* Names in a row at the end of the text before the first GPU. */
static size_t count_names_before(struct ga_view prefix)
{
	size_t count = 0;

	for (prefix = skip_blanks(prefix); prefix.size > 0; prefix = skip_blanks(prefix)) {
		int64_t gpu;

		if (column_next(&prefix, &gpu)) {
			count++;
			continue;
		}
		count = 0;
		while (prefix.size > 0 && prefix.text[0] != ' ' && prefix.text[0] != '\t')
			prefix = skip(prefix, 1);
	}
	return count;
}

/* The label at view and its length; 0 if there is none. The "GPU" one contains "NUMA". */
static size_t label_length(struct ga_view view, enum ga_topo_label *ret_label)
{
	static const char *const words[] = {"CPU", "NUMA", "GPU"};
	struct ga_view rest;

	for (size_t i = 0; i < GA_TOPO_LABELS; i++) {
		if (!starts_with(view, words[i]))
			continue;
		*ret_label = (enum ga_topo_label)i;
		rest = skip_blanks(skip(view, strlen(words[i])));
		if (i == GA_TOPO_GPU_NUMA && starts_with(rest, "NUMA"))
			rest = skip(rest, strlen("NUMA"));
		return view.size - rest.size;
	}
	return 0;
}

static void read_labels(struct ga_view line, struct ga_view tail, struct ga_topo_header *header)
{
	while (tail.size > 0 && header->label_count < GA_TOPO_LABELS) {
		enum ga_topo_label label;
		size_t length = label_length(tail, &label);

		if (length > 0) {
			header->label_at[header->label_count] = line.size - tail.size;
			header->labels[header->label_count++] = label;
		}
		tail = skip(tail, length > 0 ? length : 1);
	}
}

int ga_topo_header_read(struct ga_view line, struct ga_topo_header *ret_header)
{
	struct ga_topo_header header = {0};
	struct ga_view rest, tail;
	int64_t gpu;
	size_t at;

	if (!find_first_gpu(line, &at))
		return 0;
	tail = rest = skip(line, at);
	while (column_next(&tail, &gpu))
		header.count++;
	tail = skip_blanks(tail);
	read_labels(line, tail, &header);
	/* A sentence with GPU0 in it continues differently; "[0m" is left when ESCs are lost. */
	if (tail.size > 0 && tail.text[0] != '[' &&
	    (header.label_count == 0 || header.label_at[0] != line.size - tail.size))
		return 0;
	header.gpus = malloc(header.count * sizeof *header.gpus);
	if (!header.gpus)
		return GPUALLOC_ENOMEM;
	for (size_t i = 0; column_next(&rest, &gpu); i++)
		header.gpus[i] = (int32_t)gpu;
	header.before = count_names_before((struct ga_view){line.text, at});
	*ret_header = header;
	return 1;
}

void ga_topo_header_free(struct ga_topo_header *header)
{
	free(header->gpus);
	*header = (struct ga_topo_header){0};
}

/* ---- the rows ---- */

static const struct {
	const char *word;
	enum gpualloc_level level;
} words[] = {
	{"X", GPUALLOC_LEVEL_SELF},    {"SYS", GPUALLOC_LEVEL_SYS},
	{"SOC", GPUALLOC_LEVEL_SYS},   {"NODE", GPUALLOC_LEVEL_NODE},
	{"PHB", GPUALLOC_LEVEL_PHB},   {"PXB", GPUALLOC_LEVEL_PXB},
	{"PIX", GPUALLOC_LEVEL_PIX},   {"BOARD", GPUALLOC_LEVEL_BOARD},
	{"PSB", GPUALLOC_LEVEL_BOARD}, {"N/A", GPUALLOC_LEVEL_UNKNOWN},
	{"?", GPUALLOC_LEVEL_UNKNOWN},
};

static size_t level_word(struct ga_view view, struct ga_topo_cell *ret_cell)
{
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (!starts_with(view, words[i].word))
			continue;
		ret_cell->level = (uint8_t)words[i].level;
		ret_cell->nvlinks = words[i].level == GPUALLOC_LEVEL_UNKNOWN ? GA_UNKNOWN : 0;
		return strlen(words[i].word);
	}
	return 0;
}

/* NV12, with all digits after NV, which may be more than the number has. */
static size_t nvlink_word(struct ga_view view, struct ga_topo_cell *ret_cell)
{
	int64_t nvlinks = 0;
	size_t digits;

	if (!starts_with(view, "NV"))
		return 0;
	digits = digit_count(skip(view, 2));
	if (digits == 0)
		return 0;
	ret_cell->level = GPUALLOC_LEVEL_UNKNOWN;
	if (!ga_text_number(view.text + 2, digits, GA_NVLINKS_MAX, &nvlinks))
		nvlinks = 0;
	ret_cell->nvlinks = (int16_t)nvlinks;
	return 2 + digits;
}

bool ga_topo_cell_next(struct ga_view *rest, struct ga_topo_cell *ret_cell,
		       struct ga_view *ret_digits)
{
	struct ga_view view = skip_blanks(*rest), behind;
	struct ga_topo_cell other;
	size_t length = nvlink_word(view, ret_cell);

	*ret_digits = (struct ga_view){view.text + 2, length > 0 ? length - 2 : 0};
	if (length == 0)
		length = level_word(view, ret_cell);
	if (length == 0)
		return false;
	/* "Xid" is not an X; but a cell may touch the next, and the last one the text after it. */
	behind = skip(view, length);
	if (behind.size > 0 && !strchr(" \t-,", behind.text[0]) && !is_digit(behind.text[0]) &&
	    level_word(behind, &other) == 0 && nvlink_word(behind, &other) == 0)
		return false;
	*rest = behind;
	return true;
}

bool ga_topo_row_find(struct ga_view line, int64_t *ret_gpu, struct ga_view *ret_cells)
{
	for (size_t at = 0; at + 3 < line.size; at++) {
		struct ga_view rest = skip(line, at), digits;
		struct ga_topo_cell cell;
		size_t length = line.text[at] == 'G' ? gpu_name(rest, ret_gpu) : 0;

		if (length == 0)
			continue;
		rest = skip(rest, length);
		*ret_cells = rest;
		if (ga_topo_cell_next(&rest, &cell, &digits))
			return true;
		at += length - 1;
	}
	return false;
}

/* ---- the text after the cells ---- */

enum { WORDS_MAX = 8 };

/* "0-23,48-71": kept as it is, even if the tool has cut it. */
static bool is_cpu_list(struct ga_view word)
{
	if (word.size == 0 || !is_digit(word.text[0]))
		return false;
	for (size_t i = 0; i < word.size; i++)
		if (!is_digit(word.text[i]) && word.text[i] != '-' && word.text[i] != ',')
			return false;
	return true;
}

/*
 * "3" is node 3, and so is "3,29-35" (a Grace CPU's node, then those of its GPU's memory). A
 * virtual machine or a cgroup that does not know shows "0-7".
 */
static int64_t numa_of(struct ga_view word)
{
	size_t digits = digit_count(word);
	int64_t numa;

	if (digits < word.size && word.text[digits] != ',')
		return GA_UNKNOWN;
	return ga_text_number(word.text, digits, INT16_MAX, &numa) ? numa : GA_UNKNOWN;
}

/* Which column a word belongs to if some columns are empty: by tabs if there are any, otherwise by
 * place. */
static enum ga_topo_label label_by_place(const struct ga_topo_header *header, struct ga_view tail,
					 size_t start, const char *word)
{
	size_t tabs = 0, at = start + (size_t)(word - tail.text), best = 0;

	for (const char *c = tail.text; c < word; c++)
		tabs += *c == '\t';
	if (tabs > 0)
		return header
			->labels[tabs <= header->label_count ? tabs - 1 : header->label_count - 1];
	for (size_t i = 1; i < header->label_count; i++) {
		size_t before = header->label_at[i - 1], middle;

		middle = before + (header->label_at[i] - before) / 2;
		if (at > middle)
			best = i;
	}
	return header->labels[best];
}

static void assign(struct ga_topo_affinity *affinity, enum ga_topo_label label, struct ga_view word)
{
	if (label == GA_TOPO_CPU && is_cpu_list(word))
		affinity->cpus = word;
	if (label == GA_TOPO_NUMA)
		affinity->numa = numa_of(word);
}

static size_t split_words(struct ga_view tail, struct ga_view words_found[WORDS_MAX])
{
	size_t count = 0;

	for (tail = skip_blanks(tail); tail.size > 0 && count < WORDS_MAX;
	     tail = skip_blanks(tail)) {
		size_t length = 0;

		while (length < tail.size && tail.text[length] != ' ' && tail.text[length] != '\t')
			length++;
		words_found[count++] = (struct ga_view){tail.text, length};
		tail = skip(tail, length);
	}
	return count;
}

struct ga_topo_affinity ga_topo_affinity_read(const struct ga_topo_header *header,
					      struct ga_view tail, size_t start)
{
	struct ga_topo_affinity affinity = {.numa = GA_UNKNOWN};
	struct ga_view found[WORDS_MAX];

	affinity.words = split_words(tail, found);
	for (size_t i = 0; i < affinity.words && header->label_count > 0; i++) {
		bool list = memchr(found[i].text, '-', found[i].size) ||
			    memchr(found[i].text, ',', found[i].size);

		if (affinity.words >= header->label_count) {
			if (i < header->label_count)
				assign(&affinity, header->labels[i], found[i]);
		} else if (i == 0 && list && header->labels[0] == GA_TOPO_CPU) {
			assign(&affinity, GA_TOPO_CPU, found[i]);
		} else {
			assign(&affinity, label_by_place(header, tail, start, found[i].text),
			       found[i]);
		}
	}
	return affinity;
}
