/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `gpualloc topo` for people: the matrix that people know from nvidia-smi, so that a program that
 * reads one reads the other. On a terminal it is folded into blocks of as many columns as fit;
 * elsewhere each row is one line.
 */
#include "columns.h"
#include "open.h"
#include "p2p.h"
#include "topo.h"

#include "cleanup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELL_SIZE = 24 };
static const char cpu_title[] = "CPU Affinity", numa_title[] = "NUMA Affinity";

struct matrix {
	const gpualloc_machine *machine;
	const struct terminal *terminal;
	bool p2p; /* cells show peer-to-peer, not links */
	size_t count;
	size_t label; /* the width of "GPU0" and, wider, of a cell */
	size_t cpus;
	size_t gap; /* between columns */
};

static void label_of(const struct matrix *matrix, size_t i, char label[static CELL_SIZE])
{
	const gpualloc_device *device = gpualloc_machine_device(matrix->machine, i);

	(void)snprintf(label, CELL_SIZE, "GPU%lld", (long long)gpualloc_device_index(device));
}

/* In the words of nvidia-smi topo -p2p. */
static const char *p2p_word(const struct matrix *matrix, size_t i, size_t j)
{
	static const char *const words[] = {
		[GPUALLOC_P2P_UNKNOWN] = "U", [GPUALLOC_P2P_OK] = "OK", [GPUALLOC_P2P_NO] = "NS"};

	return i == j ? " X" : words[gpualloc_machine_p2p(matrix->machine, i, j)];
}

/* As nvidia-smi has it, the PCIe level is not shown where there are NVLinks. */
static void cell_of(const struct matrix *matrix, size_t i, size_t j, char cell[static CELL_SIZE])
{
	int nvlinks = gpualloc_machine_link_count(matrix->machine, i, j);

	if (matrix->p2p)
		(void)snprintf(cell, CELL_SIZE, "%s", p2p_word(matrix, i, j));
	else if (nvlinks > 0)
		(void)snprintf(cell, CELL_SIZE, "NV%d", nvlinks);
	else
		(void)snprintf(cell, CELL_SIZE, "%s%s", i == j ? " " : "",
			       gpualloc_level_name(gpualloc_machine_level(matrix->machine, i, j)));
}

static enum colour colour_of(const struct matrix *matrix, size_t i, size_t j)
{
	if (matrix->p2p)
		return gpualloc_machine_p2p(matrix->machine, i, j) == GPUALLOC_P2P_NO
			       ? COLOUR_YELLOW
			       : COLOUR_DIM;
	if (gpualloc_machine_link_count(matrix->machine, i, j) > 0)
		return COLOUR_BRIGHT_GREEN;
	switch (gpualloc_machine_level(matrix->machine, i, j)) {
	case GPUALLOC_LEVEL_BOARD:
	case GPUALLOC_LEVEL_PIX:
	case GPUALLOC_LEVEL_PXB: return COLOUR_GREEN;
	case GPUALLOC_LEVEL_PHB: return COLOUR_CYAN;
	case GPUALLOC_LEVEL_NODE: return COLOUR_YELLOW;
	case GPUALLOC_LEVEL_SYS: return COLOUR_RED;
	default: return COLOUR_DIM;
	}
}

static const char *cpus_of(const struct matrix *matrix, size_t i)
{
	const char *cpus = gpualloc_device_cpus(gpualloc_machine_device(matrix->machine, i));

	return cpus ? cpus : "N/A";
}

static struct matrix measure(const gpualloc_machine *machine, const struct terminal *terminal)
{
	struct matrix matrix = {.machine = machine,
				.terminal = terminal,
				.count = gpualloc_machine_device_count(machine),
				.label = strlen("NODE"),
				.cpus = strlen(cpu_title),
				.gap = 2};

	for (size_t i = 0; i < matrix.count; i++) {
		char label[CELL_SIZE];
		size_t cpus = columns_of(cpus_of(&matrix, i));

		label_of(&matrix, i, label);
		matrix.label = strlen(label) > matrix.label ? strlen(label) : matrix.label;
		matrix.cpus = cpus > matrix.cpus ? cpus : matrix.cpus;
	}
	/* If it has to be folded, fewer blocks are better than wide gaps. */
	if (terminal->is_terminal && (matrix.label + matrix.gap) * matrix.count > terminal->width)
		matrix.gap = 1;
	return matrix;
}

/* ---- one block: the columns first … last - 1, and the affinities after the very last one ---- */

struct block {
	size_t first, last;
	size_t cpus; /* columns for the CPUs; 0 if the affinities are not in this block */
};

static void add_header(struct ga_buffer *text, const struct matrix *matrix,
		       const struct block *block)
{
	char label[CELL_SIZE];

	ga_buffer_repeat(text, ' ', matrix->label);
	colour_start(text, matrix->terminal, COLOUR_BOLD);
	for (size_t j = block->first; j < block->last; j++) {
		label_of(matrix, j, label);
		ga_buffer_repeat(text, ' ', matrix->gap);
		if (j + 1 == block->last && !block->cpus)
			ga_buffer_text(text, label);
		else
			columns_left(text, label, matrix->label);
	}
	if (block->cpus) {
		ga_buffer_repeat(text, ' ', matrix->gap);
		columns_left(text, cpu_title, block->cpus);
		ga_buffer_repeat(text, ' ', matrix->gap);
		ga_buffer_text(text, numa_title);
	}
	colour_end(text, matrix->terminal, COLOUR_BOLD);
	ga_buffer_char(text, '\n');
}

static void add_affinities(struct ga_buffer *text, const struct matrix *matrix,
			   const struct block *block, size_t i)
{
	int64_t numa = gpualloc_device_numa(gpualloc_machine_device(matrix->machine, i));

	ga_buffer_repeat(text, ' ', matrix->gap);
	columns_left(text, cpus_of(matrix, i), block->cpus);
	ga_buffer_repeat(text, ' ', matrix->gap);
	if (numa >= 0)
		ga_buffer_format(text, "%lld", (long long)numa);
	else
		ga_buffer_text(text, "N/A");
}

static void add_row(struct ga_buffer *text, const struct matrix *matrix, const struct block *block,
		    size_t i)
{
	char word[CELL_SIZE];

	label_of(matrix, i, word);
	colour_start(text, matrix->terminal, COLOUR_BOLD);
	columns_left(text, word, matrix->label);
	colour_end(text, matrix->terminal, COLOUR_BOLD);
	for (size_t j = block->first; j < block->last; j++) {
		enum colour colour = colour_of(matrix, i, j);

		cell_of(matrix, i, j, word);
		ga_buffer_repeat(text, ' ', matrix->gap);
		colour_start(text, matrix->terminal, colour);
		ga_buffer_text(text, word);
		colour_end(text, matrix->terminal, colour);
		if (j + 1 < block->last || block->cpus)
			ga_buffer_repeat(text, ' ', matrix->label - strlen(word));
	}
	if (block->cpus)
		add_affinities(text, matrix, block, i);
	ga_buffer_char(text, '\n');
}

static void add_block(struct ga_buffer *text, const struct matrix *matrix,
		      const struct block *block)
{
	ga_buffer_char(text, '\n');
	add_header(text, matrix, block);
	for (size_t i = 0; i < matrix->count; i++)
		add_row(text, matrix, block, i);
}

/* The columns left for CPUs when the others use used; 0 if they would be cut too short. */
static size_t room_for_cpus(const struct matrix *matrix, size_t used)
{
	size_t others = used + matrix->gap + matrix->gap + strlen(numa_title),
	       width = matrix->terminal->width;

	if (others + strlen(cpu_title) > width)
		return 0;
	return others + matrix->cpus <= width ? matrix->cpus : width - others;
}

static bool is_near(const struct matrix *matrix, size_t i, size_t j)
{
	return gpualloc_device_numa(gpualloc_machine_device(matrix->machine, i)) ==
		       gpualloc_device_numa(gpualloc_machine_device(matrix->machine, j)) &&
	       strcmp(cpus_of(matrix, i), cpus_of(matrix, j)) == 0;
}

/* The GPUs near the same CPUs as the i-th; 0 if an earlier one stands for them. */
static size_t gather_near(const struct matrix *matrix, size_t i, const gpualloc_device **near)
{
	size_t count = 0;

	for (size_t j = 0; j < matrix->count; j++) {
		if (!is_near(matrix, i, j))
			continue;
		if (j < i)
			return 0;
		near[count++] = gpualloc_machine_device(matrix->machine, j);
	}
	return count;
}

/* Where no column is left for them: a line for all GPUs that are near the same CPUs. */
static void add_places(struct ga_buffer *text, const struct matrix *matrix)
{
	ga_auto_free const gpualloc_device **near = calloc(matrix->count + 1, sizeof *near);

	if (!near) {
		text->failed = true;
		return;
	}
	ga_buffer_char(text, '\n');
	for (size_t i = 0; i < matrix->count; i++) {
		size_t count = gather_near(matrix, i, near);
		int64_t numa = gpualloc_device_numa(gpualloc_machine_device(matrix->machine, i));
		ga_auto_buffer struct ga_buffer line = GA_BUFFER_OUTPUT;
		char ids[256];

		if (count == 0)
			continue;
		if (gpualloc_device_ids(near, count, ids, sizeof ids) >= sizeof ids)
			(void)snprintf(ids, sizeof ids, " (%zu of them)", count);
		ga_buffer_format(&line, "CPUs %s", cpus_of(matrix, i));
		if (numa >= 0)
			ga_buffer_format(&line, ", NUMA node %lld", (long long)numa);
		ga_buffer_format(&line, ": near GPU%s", ids);
		text->failed = text->failed || line.failed;
		if (line.data)
			columns_wrap(text, line.data, 0, matrix->terminal->width, 3);
	}
}

static void add_folded(struct ga_buffer *text, const struct matrix *matrix)
{
	size_t step = matrix->label + matrix->gap;
	size_t cells = (matrix->terminal->width - matrix->label) / step;
	struct block block = {0};

	while (block.last < matrix->count) {
		size_t left = matrix->count - block.last, here = left < cells ? left : cells;

		block.first = block.last;
		block.last += here;
		if (block.last == matrix->count && !matrix->p2p)
			block.cpus = room_for_cpus(matrix, matrix->label + here * step);
		add_block(text, matrix, &block);
	}
	if (!block.cpus && !matrix->p2p)
		add_places(text, matrix);
}

static void add_matrix(struct ga_buffer *text, const struct matrix *matrix)
{
	struct block whole = {.last = matrix->count, .cpus = matrix->cpus};

	if (matrix->terminal->is_terminal)
		add_folded(text, matrix);
	else
		add_block(text, matrix, &whole);
}

/* ---- legend: only what occurs ---- */

static const struct {
	enum gpualloc_level level;
	const char *sentence;
} levels[] = {
	{GPUALLOC_LEVEL_SELF, "Self"},
	{GPUALLOC_LEVEL_SYS, "PCIe and the interconnect between NUMA nodes"},
	{GPUALLOC_LEVEL_NODE, "PCIe and the interconnect between host bridges of a NUMA node"},
	{GPUALLOC_LEVEL_PHB, "PCIe and a host bridge (typically the CPU)"},
	{GPUALLOC_LEVEL_PXB, "several PCIe bridges, without a host bridge"},
	{GPUALLOC_LEVEL_PIX, "one PCIe bridge"},
	{GPUALLOC_LEVEL_BOARD, "on one board"},
	{GPUALLOC_LEVEL_UNKNOWN, "not known"},
};

struct seen {
	bool level[GPUALLOC_LEVEL_SELF + 1];
	bool nvlinks;
	size_t inferred;
};

static struct seen look(const struct matrix *matrix)
{
	struct seen seen = {0};

	for (size_t i = 0; i < matrix->count; i++)
		for (size_t j = i; j < matrix->count; j++) {
			bool nvlinks = gpualloc_machine_link_count(matrix->machine, i, j) > 0;

			seen.nvlinks = seen.nvlinks || nvlinks;
			if (!nvlinks)
				seen.level[gpualloc_machine_level(matrix->machine, i, j)] = true;
			seen.inferred +=
				gpualloc_machine_level_is_inferred(matrix->machine, i, j) != 0;
		}
	return seen;
}

static const char nvlink_sentence[] = "# NVLinks, direct or through switches";

/* The same in as few lines as there is room for. */
static void add_short_legend(struct ga_buffer *text, const struct matrix *matrix,
			     const struct seen *seen)
{
	ga_auto_buffer struct ga_buffer words = GA_BUFFER_OUTPUT;

	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
		if (seen->level[levels[i].level])
			ga_buffer_format(&words, "%s%s = %s", words.size ? "; " : "",
					 gpualloc_level_name(levels[i].level), levels[i].sentence);
	if (seen->nvlinks)
		ga_buffer_format(&words, "%sNV# = %s", words.size ? "; " : "", nvlink_sentence);
	text->failed = text->failed || words.failed;
	ga_buffer_char(text, '\n');
	if (words.data)
		columns_wrap(text, words.data, 0, matrix->terminal->width, 8);
}

static void add_legend(struct ga_buffer *text, const struct matrix *matrix)
{
	struct seen seen = look(matrix);

	if (matrix->terminal->is_terminal) {
		add_short_legend(text, matrix, &seen);
	} else {
		ga_buffer_text(text, "\nLegend:\n\n");
		for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
			if (seen.level[levels[i].level])
				ga_buffer_format(text, "  %-4s = %s\n",
						 gpualloc_level_name(levels[i].level),
						 levels[i].sentence);
		if (seen.nvlinks)
			ga_buffer_format(text, "  NV#  = %s\n", nvlink_sentence);
	}
	if (seen.inferred) {
		ga_buffer_text(text, "\nThe PCIe level of ");
		add_count(text, seen.inferred, "pair");
		ga_buffer_text(text, " was inferred, not read; --json says which.\n");
	}
}

/* A sentence if all pairs are alike, or else a second matrix, as nvidia-smi topo -p2p prints it. */
static void add_p2p(struct ga_buffer *text, struct matrix matrix)
{
	struct p2p_seen seen = p2p_of_machine(matrix.machine);
	ga_auto_buffer struct ga_buffer words = GA_BUFFER_OUTPUT;

	if (!p2p_sentence(&words, &seen))
		return;
	text->failed = text->failed || words.failed;
	if (words.data && words.size)
		ga_buffer_format(text, "\n%c%s.\n", *words.data - 'a' + 'A', words.data + 1);
	if (seen.no == 0 || seen.ok + seen.unknown == 0)
		return;
	matrix.p2p = true;
	matrix.cpus = 0;
	add_matrix(text, &matrix);
	ga_buffer_text(text, "\n  OK   = peer-to-peer\n  NS   = not supported\n");
	if (seen.unknown)
		ga_buffer_text(text, "  U    = not known\n");
}

/* What all pairs have in common: all there is to say about a machine with one big switch. */
static void add_summary(struct ga_buffer *text, const struct matrix *matrix)
{
	char first[CELL_SIZE], cell[CELL_SIZE];

	if (matrix->count < 3)
		return;
	cell_of(matrix, 0, 1, first);
	for (size_t i = 0; i < matrix->count; i++)
		for (size_t j = i + 1; j < matrix->count; j++) {
			cell_of(matrix, i, j, cell);
			if (strcmp(cell, first) != 0)
				return;
		}
	ga_buffer_format(text, ", %s between any two", first);
}

void topo_text(struct ga_buffer *text, const gpualloc_machine *machine,
	       const struct terminal *terminal)
{
	struct matrix matrix = measure(machine, terminal);

	colour_start(text, terminal, COLOUR_BOLD);
	add_machine_name(text, machine);
	ga_buffer_text(text, ": ");
	if (matrix.count == 0)
		ga_buffer_text(text, "no GPUs");
	else
		add_count(text, matrix.count, "GPU");
	add_summary(text, &matrix);
	colour_end(text, terminal, COLOUR_BOLD);
	ga_buffer_char(text, '\n');
	if (matrix.count == 0)
		return;
	add_matrix(text, &matrix);
	add_legend(text, &matrix);
	add_p2p(text, matrix);
}
