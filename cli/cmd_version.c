/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc version */
#include "command.h"
#include "open.h"
#include "output.h"

static int run(const struct call *call)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct ga_json json = {.out = &text};

	if (!call->value[OPTION_JSON]) {
		ga_buffer_format(&text, "gpualloc %s\n", gpualloc_version());
		return output_print(&text);
	}
	begin_document(&json, call);
	ga_json_text(&json, "version", gpualloc_version());
	end_document(&json);
	return output_print(&text);
}

const struct command command_version = {
	.name = "version",
	.sentence = "the version of gpualloc",
	.description = "Shows the version of gpualloc, which is the version of the library in use.",
	.example = "gpualloc version --json",
	.aside = true,
	.options = (const enum option_id[]){OPTION_HELP, OPTION_JSON, OPTION_END},
	.run = run,
};
