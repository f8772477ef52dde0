/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every capture, cut short and damaged: the result is refused with a reason, or is a machine that
 * agrees with the whole text. Never a crash, and never a link that was not printed.
 */
#include "topo_check.h"

#include <dirent.h>

enum { CAPTURES_MAX = 256 };

static char *names[CAPTURES_MAX];

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t list_captures(void)
{
	DIR *folder = opendir(test_path("machines/topo"));
	struct dirent *entry;
	size_t count = 0;

	CHECK(folder != NULL);
	while ((entry = readdir(folder)) && count < CAPTURES_MAX) {
		char path[512];

		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof path, "machines/topo/%s", entry->d_name);
		names[count++] = strdup(path);
	}
	CHECK_INT(closedir(folder), 0);
	CHECK(count > 0 && count < CAPTURES_MAX);
	qsort(names, count, sizeof *names, by_name);
	return count;
}

static void forget_captures(size_t count)
{
	while (count > 0)
		free(names[--count]);
}

/* A copy of just these bytes, so that one more being read is seen. */
static char *copy_of(const char *text, size_t size)
{
	char *copy = malloc(size ? size : 1);

	CHECK(copy != NULL);
	return memcpy(copy, text, size);
}

/* NULL where it is refused, and then with a reason that names a line. */
static gpualloc_machine *try_to_read(const char *text, size_t size)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	int result = ga_source_topo_matrix.read(text, size, &machine, &error);

	if (result == 0) {
		CHECK_TEXT(error.message, "");
		CHECK(machine != NULL);
		return machine;
	}
	CHECK_INT(result, GPUALLOC_EDATA);
	CHECK_HAS(error.message, "line ");
	CHECK(machine == NULL);
	return NULL;
}

static void check_same_links(const gpualloc_machine *machine, const gpualloc_machine *whole)
{
	size_t count = machine->device_count;
	size_t cells = count * count;

	CHECK_INT(count, whole->device_count);
	CHECK(memcmp(machine->links.nvlinks, whole->links.nvlinks,
		     cells * sizeof *whole->links.nvlinks) == 0);
	for (size_t i = 0; i < cells; i++)
		if (!whole->links.inferred[i] && machine->links.levels[i])
			CHECK(machine->links.inferred[i] ||
			      machine->links.levels[i] == whole->links.levels[i]);
}

static void check_cut(const char *text, size_t size, const gpualloc_machine *whole)
{
	ga_auto_free char *part = copy_of(text, size);
	ga_auto_machine gpualloc_machine *machine = try_to_read(part, size);

	if (!machine)
		return;
	CHECK(whole != NULL);
	check_same_links(machine, whole);
	topo_check_invariants(machine);
}

/* Where the row of the last GPU ends: nothing may be left out before. */
static size_t end_of_rows(const char *text, const gpualloc_machine *whole)
{
	size_t end = 0;

	for (size_t i = 0; i < whole->device_count; i++) {
		char name[16];
		const char *row = text;

		(void)snprintf(name, sizeof name, "GPU%lld", (long long)whole->devices[i].index);
		/* The header has it first, glued or not; then come the rows. */
		row = strchr(strstr(text, name), '\n');
		row = row ? strstr(row, name) : NULL;
		CHECK(row != NULL);
		row += strcspn(row, "\n");
		end = (size_t)(row - text) > end ? (size_t)(row - text) : end;
	}
	return end;
}

static void cut_at_every_byte(void)
{
	size_t count = list_captures();

	for (size_t i = 0; i < count; i++) {
		size_t size, end;
		ga_auto_free char *text = test_read(names[i], &size);
		ga_auto_machine gpualloc_machine *whole = try_to_read(text, size);

		end = whole ? end_of_rows(text, whole) : 0;
		for (size_t at = 0; at < size; at++) {
			/* After the rows only some cuts: there is nothing left to lose. */
			if (at > end && at % 41 != 0 && text[at] != '\n')
				continue;
			test_about("%s cut at byte %zu", names[i], at);
			check_cut(text, at, whole);
		}
	}
	forget_captures(count);
}

/* Without any one of its rows, or half of it, a matrix is not whole. */
static void cut_before_the_last_row_is_always_refused(void)
{
	size_t count = list_captures();

	for (size_t i = 0; i < count; i++) {
		size_t size, end;
		ga_auto_free char *text = test_read(names[i], &size);
		ga_auto_machine gpualloc_machine *whole = try_to_read(text, size);

		if (!whole || whole->device_count < 2)
			continue;
		end = end_of_rows(text, whole);
		for (size_t at = 0; at < end; at++) {
			ga_auto_free char *part = NULL;
			ga_auto_machine gpualloc_machine *machine = NULL;

			if (text[at] != '\n')
				continue;
			test_about("%s cut at byte %zu", names[i], at);
			part = copy_of(text, at);
			machine = try_to_read(part, at);
			CHECK(machine == NULL);
		}
	}
	forget_captures(count);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A bit turned, a byte replaced, left out, doubled, a piece moved. */
static size_t damage(char *text, size_t size, uint64_t *state)
{
	static const char likely[] = "\t\n\r XGPUNIC0123456789-,/SYPBHD\033\377|?";
	size_t at = (size_t)(next_random(state) % size);
	size_t length = (size_t)(next_random(state) % 40);

	switch (next_random(state) % 5) {
	case 0: text[at] ^= (char)(1 << next_random(state) % 8); return size;
	case 1: text[at] = likely[next_random(state) % (sizeof likely - 1)]; return size;
	case 2: memmove(text + at, text + at + 1, size - at - 1); return size - 1;
	case 3: memmove(text + at + 1, text + at, size - at); return size + 1;
	default:
		if (at + 2 * length < size)
			memmove(text + at, text + at + length, length);
		return size;
	}
}

static void bitten_anywhere_it_is_refused_or_still_a_machine(void)
{
	size_t count = list_captures();
	uint64_t state = 88172645463325252u;

	for (size_t i = 0; i < count; i++) {
		size_t size;
		ga_auto_free char *text = test_read(names[i], &size);

		for (size_t round = 0; round < 150; round++) {
			ga_auto_free char *bitten = malloc(size + 4);
			ga_auto_free char *exact = NULL;
			ga_auto_machine gpualloc_machine *machine = NULL;
			size_t bites = 1 + round % 4, length = size;

			CHECK(bitten != NULL);
			memcpy(bitten, text, size);
			for (size_t b = 0; b < bites; b++)
				length = damage(bitten, length, &state);
			test_about("%s, round %zu", names[i], round);
			exact = copy_of(bitten, length);
			machine = try_to_read(exact, length);
			if (machine)
				topo_check_invariants(machine);
		}
	}
	forget_captures(count);
}

static const struct test_case cases[] = {
	{"cut at every byte", cut_at_every_byte},
	{"cut before the last row is always refused", cut_before_the_last_row_is_always_refused},
	{"bitten anywhere it is refused or still a machine",
	 bitten_anywhere_it_is_refused_or_still_a_machine},
};

TEST_MAIN(cases)
