/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc version */
#include "command.h"
#include "json.h"
#include "output.h"

static int run(const struct call *call)
{
	auto_text struct text text = {0};
	struct json json = {.out = &text};

	if (!call->value[OPTION_JSON]) {
		text_format(&text, "gpualloc %s\n", gpualloc_version());
		return output_print(&text);
	}
	json_open(&json, NULL, '{');
	json_number(&json, "schema", 1);
	json_text(&json, "command", call->command->name);
	json_text(&json, "version", gpualloc_version());
	json_close(&json, '}');
	text_char(&text, '\n');
	return output_print(&text);
}

const struct command command_version = {
	.name = "version",
	.sentence = "the version of gpualloc",
	.description = "Shows the version of gpualloc, which is that of the library in use.",
	.example = "gpualloc version --json",
	.aside = true,
	.options = (const enum option_id[]){OPTION_HELP, OPTION_JSON, OPTION_END},
	.run = run,
};
