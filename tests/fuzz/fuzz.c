/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of machines and refusals; see fuzz.h. */
#include "fuzz.h"

#include "cleanup.h"
#include "machine_file.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fuzz_require(bool holds, const char *what)
{
	if (holds)
		return;
	(void)fprintf(stderr, "broken: %s\n", what);
	abort();
}

static void check_links(const struct ga_links *links)
{
	for (size_t i = 0; i < links->count; i++)
		for (size_t j = 0; j < links->count; j++) {
			enum gpualloc_level level = ga_links_level(links, i, j);
			int nvlinks = ga_links_nvlinks(links, i, j);

			fuzz_require((level == GPUALLOC_LEVEL_SELF) == (i == j),
				     "X on the diagonal");
			fuzz_require(level == ga_links_level(links, j, i), "levels are symmetric");
			fuzz_require(nvlinks == ga_links_nvlinks(links, j, i),
				     "NVLinks are symmetric");
			fuzz_require(nvlinks >= GA_UNKNOWN && nvlinks <= GA_NVLINKS_MAX, "NVLinks");
			fuzz_require(ga_links_inferred(links, i, j) ==
					     ga_links_inferred(links, j, i),
				     "what is inferred is symmetric");
		}
}

static void check_round_trip(const gpualloc_machine *machine, enum ga_machine_form form)
{
	ga_auto_buffer struct ga_buffer out = GA_BUFFER_INIT(GA_MACHINE_FILE_MAX);
	ga_auto_buffer struct ga_buffer again = GA_BUFFER_INIT(GA_MACHINE_FILE_MAX);
	ga_auto_machine gpualloc_machine *copy = NULL;
	gpualloc_error error = {0};

	fuzz_require(ga_machine_file_write(machine, form, &out, &error) == 0, "it can be written");
	if (ga_machine_file_read(out.data, out.size, form, &copy, &error) < 0)
		fuzz_require(false, error.message);
	fuzz_require(ga_machine_file_write(copy, form, &again, &error) == 0,
		     "it can be written again");
	fuzz_require(out.size == again.size && memcmp(out.data, again.data, out.size) == 0,
		     "it reads back to the same bytes");
}

void fuzz_check_machine(const gpualloc_machine *machine)
{
	fuzz_require(machine != NULL, "success leaves a machine");
	fuzz_require(machine->links.count == machine->device_count, "as many links as devices");
	check_links(&machine->links);
	check_round_trip(machine, GA_FORM_FILE);
	check_round_trip(machine, GA_FORM_COMPLETE);
}

void fuzz_check_refusal(int result, const gpualloc_machine *machine, const gpualloc_error *error)
{
	fuzz_require(result == error->status, "the error has the status that was returned");
	fuzz_require(machine == NULL, "a refusal leaves no machine");
	fuzz_require(error->message[0] != '\0', "a refusal has a reason");
	for (const char *c = error->message; *c; c++)
		fuzz_require(*c == '\n' || (unsigned char)*c >= ' ', "a reason can be shown");
}
