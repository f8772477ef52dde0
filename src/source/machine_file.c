/* SPDX-License-Identifier: Apache-2.0 */
/* The machine file as a source; machine_file_read.c knows what it looks like. */
#include "machine_file.h"

#include "source.h"
#include "text.h"

static bool recognises(const char *text, size_t size)
{
	struct ga_view view = ga_view_trim(text, size);

	return view.size > 0 && (view.text[0] == '{' || view.text[0] == '[');
}

static int read_file(const char *text, size_t size, gpualloc_machine **ret_machine,
		     gpualloc_error *error)
{
	return ga_machine_file_read(text, size, GA_FORM_FILE, ret_machine, error);
}

const struct ga_source ga_source_machine_file = {
	.name = "machine file",
	.description = "the JSON of a snapshot",
	.recognises = recognises,
	.read = read_file,
};
