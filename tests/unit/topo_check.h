/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the topology matrix ask of a text and of the machine that comes of it. */
#ifndef TOPO_CHECK_H
#define TOPO_CHECK_H

#include "cleanup.h"
#include "machine_file.h"
#include "source.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline gpualloc_machine *topo_read(const char *text, size_t size)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	int result = ga_source_topo_matrix.read(text, size, &machine, &error);

	CHECK_TEXT(error.message, "");
	CHECK_INT(result, 0);
	return machine;
}

static inline void topo_check_refused(const char *text, size_t size, const char *reason)
{
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	int result = ga_source_topo_matrix.read(text, size, &machine, &error);

	CHECK_HAS(error.message, reason);
	CHECK_INT(result, GPUALLOC_EDATA);
	CHECK_INT(error.status, GPUALLOC_EDATA);
	CHECK(machine == NULL);
}

/* As the tool would show the pair: NVLinks hide the level. */
static inline const char *topo_word(const gpualloc_machine *machine, size_t i, size_t j,
				    char word[static 16])
{
	int nvlinks = ga_links_nvlinks(&machine->links, i, j);

	if (nvlinks > 0)
		(void)snprintf(word, 16, "NV%d", nvlinks);
	else
		(void)snprintf(word, 16, "%s",
			       ga_level_name(ga_links_level(&machine->links, i, j)));
	return word;
}

/* Rows of words, or one word that all pairs have. */
static inline void topo_check_links(const gpualloc_machine *machine, const char *links)
{
	size_t count = machine->device_count, room = count * (count * 6 + 1) + 1, length = 0;
	ga_auto_free char *seen = calloc(room, 1), *expected = calloc(room, 1);
	size_t expected_length = 0;
	char word[16];

	CHECK(seen && expected);
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < count; j++) {
			char end = j + 1 < count ? ' ' : '\n';

			length += (size_t)snprintf(seen + length, room - length, "%s%c",
						   topo_word(machine, i, j, word), end);
			expected_length +=
				(size_t)snprintf(expected + expected_length, room - expected_length,
						 "%s%c", i == j ? "X" : links, end);
			if (strchr(links, '\n'))
				expected_length = 0;
		}
	CHECK_TEXT(seen, strchr(links, '\n') ? links : expected);
}

static inline size_t topo_digits(const char **text, size_t digits[static 16])
{
	size_t count = 0;

	for (; **text >= '0' && **text <= '9' && count < 16; (*text)++)
		digits[count++] = (size_t)(**text - '0');
	return count;
}

static inline void topo_check_level(const gpualloc_machine *machine, size_t i, size_t j,
				    const char *level)
{
	const struct ga_links *links = &machine->links;
	bool hidden = ga_links_nvlinks(links, i, j) > 0;
	const char *seen = ga_level_name(ga_links_level(links, i, j));

	if (i == j)
		return;
	if (strncmp(seen, level, strlen(seen)) != 0)
		printf("# pair %zu %zu\n", i, j);
	CHECK_HAS(level, seen);
	CHECK_INT(strncmp(seen, level, strlen(seen)), 0);
	CHECK_INT(ga_links_inferred(links, i, j), hidden && *seen != '?');
}

/* "01 PIX, 01x23 PHB, …": pairs among devices, pairs of one with the other; every pair that has
 * NVLinks must be among them. */
static inline void topo_check_levels(const gpualloc_machine *machine, const char *levels)
{
	size_t count = machine->device_count, a[16], b[16];
	ga_auto_free bool *covered = calloc(count * count + 1, 1);

	CHECK(covered != NULL);
	while (*levels) {
		size_t ones = topo_digits(&levels, a), others = 0;

		if (*levels == 'x' && *levels++)
			others = topo_digits(&levels, b);
		CHECK(*levels++ == ' ');
		for (size_t i = 0; i < ones; i++)
			for (size_t j = 0; j < (others ? others : ones); j++) {
				size_t other = others ? b[j] : a[j];

				topo_check_level(machine, a[i], other, levels);
				covered[a[i] * count + other] = true;
				covered[other * count + a[i]] = true;
			}
		levels += strcspn(levels, ",");
		levels += strspn(levels, ", ");
	}
	for (size_t i = 0; i < count * count; i++)
		CHECK(covered[i] || machine->links.nvlinks[i] <= 0);
}

/* "01 0-15 0; 2 - -": devices, their CPUs, their node. */
static inline void topo_check_places(const gpualloc_machine *machine, const char *places)
{
	size_t checked = 0;

	while (*places) {
		size_t devices[16], count = topo_digits(&places, devices);
		char cpus[64], numa[16], seen[16];

		CHECK_INT(sscanf(places, " %63[^ ] %15[^;]", cpus, numa), 2);
		for (size_t i = 0; i < count; i++) {
			const struct gpualloc_device *device = &machine->devices[devices[i]];

			(void)snprintf(seen, sizeof seen, "%lld", (long long)device->numa);
			CHECK_TEXT(device->cpus ? device->cpus : "-", cpus);
			CHECK_TEXT(device->numa >= 0 ? seen : "-", numa);
			checked++;
		}
		places += strcspn(places, ";");
		places += strspn(places, "; ");
	}
	CHECK_INT(checked, machine->device_count);
}

static inline void topo_check_invariants(const gpualloc_machine *machine)
{
	ga_auto_buffer struct ga_buffer out = GA_BUFFER_INIT(GA_MACHINE_FILE_MAX);
	ga_auto_buffer struct ga_buffer again = GA_BUFFER_INIT(GA_MACHINE_FILE_MAX);
	ga_auto_machine gpualloc_machine *copy = NULL;
	gpualloc_error error = {0};

	for (size_t i = 0; i < machine->device_count; i++)
		for (size_t j = 0; j < machine->device_count; j++) {
			CHECK_INT(ga_links_level(&machine->links, i, j),
				  ga_links_level(&machine->links, j, i));
			CHECK_INT(ga_links_nvlinks(&machine->links, i, j),
				  ga_links_nvlinks(&machine->links, j, i));
		}
	CHECK_INT(ga_machine_file_write(machine, GA_FORM_FILE, &out, &error), 0);
	(void)ga_machine_file_read(out.data, out.size, GA_FORM_FILE, &copy, &error);
	CHECK_TEXT(error.message, "");
	CHECK_INT(ga_machine_file_write(copy, GA_FORM_FILE, &again, &error), 0);
	CHECK(out.size == again.size && memcmp(out.data, again.data, out.size) == 0);
}

#endif
