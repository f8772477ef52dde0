/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix of `nvidia-smi topo -p2p r`, alone or after that of `topo -m`: whether pairs have
 * peer-to-peer. Only the command line says which capability was asked for, if somebody kept that
 * line; then matrices for NVLink, atomics and PCIe are left out, and reading and writing must both
 * work.
 */
#include "matrix.h"

#include "cleanup.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

enum { CELL_SELF = 3, CELL_NONE }; /* in addition to enum gpualloc_p2p */

struct p2p {
	int64_t *gpus;  /* of the columns */
	uint8_t *cells; /* of count rows; the i-th row belongs to the i-th column */
	bool *seen;
	size_t count, rows, told;
	bool other; /* for another capability */
};

static void p2p_clear(struct p2p *p2p)
{
	free(p2p->gpus);
	free(p2p->cells);
	free(p2p->seen);
	*p2p = (struct p2p){.other = p2p->other};
}
#define auto_p2p ga_cleanup(p2p_clear)

static bool next_word(struct ga_view *rest, struct ga_view *ret_word)
{
	*rest = ga_view_trim(rest->text, rest->size);
	*ret_word = *rest;
	for (ret_word->size = 0; ret_word->size < rest->size; ret_word->size++)
		if (strchr(" \t", ret_word->text[ret_word->size]))
			break;
	rest->text += ret_word->size;
	rest->size -= ret_word->size;
	return ret_word->size > 0;
}

static bool gpu_number(struct ga_view word, int64_t *ret_number)
{
	return word.size > 3 && memcmp(word.text, "GPU", 3) == 0 &&
	       ga_text_number(word.text + 3, word.size - 3, INT32_MAX, ret_number);
}

static unsigned cell_of(struct ga_view word)
{
	static const struct {
		const char *word;
		unsigned cell;
	} cells[] = {
		{"X", CELL_SELF},         {"OK", GPUALLOC_P2P_OK},
		{"CNS", GPUALLOC_P2P_NO}, /* chipset, GPU, topology not supported */
		{"GNS", GPUALLOC_P2P_NO}, {"TNS", GPUALLOC_P2P_NO},
		{"DR", GPUALLOC_P2P_NO}, /* disabled by a registry key */
		{"NS", GPUALLOC_P2P_NO},  {"U", GPUALLOC_P2P_UNKNOWN},
	};

	for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
		if (ga_text_equal(word.text, word.size, cells[i].word))
			return cells[i].cell;
	return CELL_NONE;
}

/* "GPU0 GPU1 …" and nothing else. 1 if it is, 0 if not, or GPUALLOC_ENOMEM. */
static int read_header(struct ga_view line, struct p2p *p2p)
{
	struct ga_view rest = line, word;
	size_t count = 0;
	int64_t number;

	while (next_word(&rest, &word)) {
		if (!gpu_number(word, &number) || count == GA_DEVICES_MAX)
			return 0;
		count++;
	}
	if (count < 2)
		return 0;
	p2p_clear(p2p);
	p2p->gpus = calloc(count, sizeof *p2p->gpus);
	p2p->seen = calloc(count, sizeof *p2p->seen);
	p2p->cells = calloc(count, count);
	if (!p2p->gpus || !p2p->seen || !p2p->cells)
		return GPUALLOC_ENOMEM;
	for (rest = line; next_word(&rest, &word);)
		(void)gpu_number(word, &p2p->gpus[p2p->count++]);
	return 1;
}

/* Adds a row to the matrix that is being read; returns whether it was one. */
static bool read_row(struct ga_view line, struct p2p *p2p)
{
	struct ga_view rest = line, word;
	size_t row = 0;
	int64_t number;

	if (p2p->count == 0 || !next_word(&rest, &word) || !gpu_number(word, &number))
		return false;
	while (row < p2p->count && p2p->gpus[row] != number)
		row++;
	if (row == p2p->count || p2p->seen[row])
		return false;
	for (size_t column = 0; column < p2p->count; column++) {
		unsigned cell = next_word(&rest, &word) ? cell_of(word) : CELL_NONE;

		if (cell == CELL_NONE || (cell == CELL_SELF) != (column == row))
			return false;
		p2p->cells[row * p2p->count + column] = (uint8_t)cell;
		p2p->told += cell != CELL_SELF;
	}
	p2p->seen[row] = true;
	p2p->rows++;
	return !next_word(&rest, &word);
}

static size_t place_of(const gpualloc_machine *machine, int64_t index)
{
	size_t place = 0;

	while (place < machine->device_count && machine->devices[place].index != index)
		place++;
	return place;
}

/* Both rows must say that it works; one that says it does not is enough. */
static enum gpualloc_p2p both(unsigned one, unsigned other)
{
	if (one == GPUALLOC_P2P_NO || other == GPUALLOC_P2P_NO)
		return GPUALLOC_P2P_NO;
	return one == other ? (enum gpualloc_p2p)one : GPUALLOC_P2P_UNKNOWN;
}

static void take(const struct p2p *p2p, gpualloc_machine *machine)
{
	for (size_t i = 0; i < p2p->count; i++)
		for (size_t j = 0; j < i; j++) {
			size_t a = place_of(machine, p2p->gpus[i]);
			size_t b = place_of(machine, p2p->gpus[j]);
			enum gpualloc_p2p now = both(p2p->cells[i * p2p->count + j],
						     p2p->cells[j * p2p->count + i]);

			if (a == b || a == machine->device_count || b == machine->device_count)
				continue;
			if (ga_links_p2p_read(&machine->links, a, b) != GPUALLOC_P2P_NO)
				ga_links_set_p2p(&machine->links, a, b, now);
		}
}

/* "nvidia-smi topo -p2p n", if somebody kept the command too. */
static void hear_command(struct ga_view line, struct p2p *p2p)
{
	static const char option[] = "-p2p ";
	const char *found = memmem(line.text, line.size, option, sizeof option - 1);
	const char *end = line.text + line.size;

	if (found && found + sizeof option - 1 < end)
		p2p->other = !strchr("rw", found[sizeof option - 1]);
}

int ga_topo_p2p_read(const char *text, size_t size, gpualloc_machine *machine)
{
	ga_auto_free char *clean = NULL;
	size_t clean_size = 0;
	struct ga_view rest, line;
	auto_p2p struct p2p p2p = {0};
	int found = 0;

	if (ga_topo_clean(text, size, &clean, &clean_size) < 0)
		return GPUALLOC_ENOMEM;
	rest = (struct ga_view){clean, clean_size};
	while (ga_view_line(&rest, &line)) {
		int header = read_header(line, &p2p);

		if (header < 0)
			return header;
		hear_command(line, &p2p);
		if (header > 0 || ga_view_trim(line.text, line.size).size == 0)
			continue;
		if (!read_row(line, &p2p)) {
			p2p_clear(&p2p);
			continue;
		}
		if (p2p.rows < p2p.count)
			continue;
		if (p2p.told > 0) {
			found = 1;
			if (machine && !p2p.other)
				take(&p2p, machine);
		}
		p2p_clear(&p2p);
	}
	return found;
}
