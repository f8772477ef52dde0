/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc setup: makes the store of leases for everybody on this machine. */
#include "message.h"
#include "output.h"
#include "owned.h"

static int run(const struct call *call)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	const char *path = gpualloc_store_default(), *state;
	int result;

	if (call->value[OPTION_CHECK] && call->value[OPTION_REMOVE])
		return fail_usage(call->command, "--check and --remove cannot be combined");
	if (call->value[OPTION_CHECK]) {
		result = gpualloc_store_check(path, error);
		state = "is in order";
	} else if (call->value[OPTION_REMOVE]) {
		result = gpualloc_store_remove(path, error);
		state = "is gone";
	} else {
		result = gpualloc_store_setup(path, error);
		state = "is ready: everybody who may use this machine can lease its GPUs";
	}
	if (result < 0)
		return fail_error(result, error);
	ga_buffer_format(&text, "the store %s %s\n", path, state);
	return output_print(&text);
}

const struct command command_setup = {
	.name = "setup",
	.sentence = "make the store of leases (administrator)",
	.description =
		"Makes the store for the leases of all users: /run/gpualloc, or what "
		"GPUALLOC_STATE_DIR names. Run it as root once after each boot, unless the package "
		"does that. A store that is in order stays as it is.",
	.example = "GPUALLOC_STATE_DIR=./store gpualloc setup",
	.options = (const enum option_id[]){OPTION_CHECK, OPTION_HELP, OPTION_REMOVE, OPTION_END},
	.run = run,
};
