/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc leases: who holds what, who waits for what. */
#include "cleanup.h"
#include "leases.h"
#include "message.h"
#include "output.h"
#include "stores.h"
#include "terminal.h"

#include <time.h>
#include <unistd.h>

enum { WATCH_SECONDS = 2 };

static void free_leases(gpualloc_leases **leases)
{
	gpualloc_leases_free(*leases);
}

static int show(const struct call *call)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	auto_store gpualloc_store *store = store_to_look(call);
	auto_call(free_leases) gpualloc_leases *leases = NULL;
	auto_text struct text text = {0};
	struct terminal terminal = terminal_of(STDOUT_FILENO);
	int result = store ? gpualloc_leases_read(store, &leases, error) : 0;

	if (result < 0)
		return fail_error(result, error);
	/* From the upper left corner; what was there is overwritten and not wiped, or it flickers.
	 */
	if (call->value[OPTION_WATCH])
		text_add(&text, "\033[H\033[J");
	if (call->value[OPTION_JSON])
		leases_json(&text, call, store, leases);
	else
		leases_text(&text, store, leases, &terminal);
	return output_print(&text);
}

static int run(const struct call *call)
{
	int result;

	if (!call->value[OPTION_WATCH])
		return show(call);
	if (call->value[OPTION_JSON])
		return fail_usage(call->command, "--watch is for a person, --json for a program; "
						 "take one");
	if (isatty(STDOUT_FILENO) != 1)
		return fail_usage(call->command, "--watch repaints a terminal, and stdout is none");
	do
		result = show(call);
	while (result == 0 && nanosleep(&(struct timespec){.tv_sec = WATCH_SECONDS}, NULL) == 0);
	return result;
}

const struct command command_leases = {
	.name = "leases",
	.sentence = "who holds what, who waits",
	.description =
		"Shows the leases: whose they are, since when, on which devices, for which "
		"command; and who waits, in order. What nobody knows more about than that it is "
		"held is shown as \"held, no record\". A machine without a store has no leases.",
	.example = "gpualloc leases",
	.options = (const enum option_id[]){OPTION_HELP, OPTION_JSON, OPTION_PRIVATE, OPTION_QUIET,
					    OPTION_WATCH, OPTION_END},
	.run = run,
};
