/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc leases: who holds what, and who waits for what. */
#include "leases.h"
#include "message.h"
#include "open.h"
#include "output.h"
#include "owned.h"
#include "stores.h"
#include "terminal.h"
#include "text.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WATCH_SECONDS = 2, DRIVER_MS = 2000 };

/* A machine without a driver shows no processes; that is not worth a note. */
static bool has_driver(void)
{
	return access("/proc/driver/nvidia/version", F_OK) == 0 || getenv("GPUALLOC_NVML") ||
	       getenv("GPUALLOC_NVIDIA_SMI");
}

/* The question who has what is answered even when the driver hangs. */
static void open_if_it_answers(const struct call *call, gpualloc_machine **ret_machine)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	bool is_said = call->value[OPTION_DEADLINE] || getenv("GPUALLOC_DEADLINE");
	unsigned patience = is_said ? call->deadline_ms : DRIVER_MS;
	int result = gpualloc_machine_open(NULL, patience, ret_machine, error);
	const char *message = gpualloc_error_message(error);

	if (result < 0 && !call->value[OPTION_QUIET] &&
	    (result != GPUALLOC_ENOSOURCE || has_driver()))
		say("note: cannot tell what runs on the devices: %.*s", (int)strcspn(message, "\n"),
		    message);
}

static int look(const struct call *call, const gpualloc_store *store, gpualloc_leases *leases,
		gpualloc_machine **ret_machine)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	int result = 0;

	if (call->value[OPTION_MACHINE])
		result = open_machine(call, ret_machine);
	else
		open_if_it_answers(call, ret_machine);
	if (result || !*ret_machine)
		return result;
	result = gpualloc_leases_add_machine(leases, store, *ret_machine, error);
	return result < 0 ? fail_error(result, error) : 0;
}

static int show(const struct call *call)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	auto_store gpualloc_store *store = NULL;
	auto_leases gpualloc_leases *leases = NULL;
	auto_machine gpualloc_machine *machine = NULL;
	ga_cleanup(samples_free) struct samples samples = {0};
	struct leases_view view = {.samples = &samples, .idle_s = -1};
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct terminal terminal = terminal_of(STDOUT_FILENO);
	int result = store_to_look(call, STORE_FOR_LEASES, &store);

	if (result)
		return result;
	if (store)
		result = gpualloc_leases_read(store, &leases, error);
	if (result < 0)
		return fail_error(result, error);
	if (leases && gpualloc_leases_held_count(leases) + gpualloc_leases_waiter_count(leases) > 0)
		result = look(call, store, leases, &machine);
	if (result)
		return result;
	leases_read_idle(&samples, &view.idle_s);
	view.store = store;
	view.leases = leases;
	view.machine = machine;
	/* Overwrites from the upper left corner; wiping first would flicker. */
	if (call->value[OPTION_WATCH])
		ga_buffer_text(&text, "\033[H\033[J");
	if (call->value[OPTION_JSON])
		leases_json(&text, call, &view);
	else
		leases_text(&text, &view, &terminal);
	return output_print(&text);
}

/* ---- the processes of one lease ---- */

static void free_holders(gpualloc_holders **holders)
{
	gpualloc_holders_free(*holders);
}

static void add_holder_json(struct ga_json *json, const gpualloc_holder *holder)
{
	ga_json_open(json, NULL, '{');
	ga_json_number(json, "pid", gpualloc_holder_pid(holder));
	ga_json_text(json, "command", gpualloc_holder_command(holder));
	ga_json_close(json, '}');
}

static bool has_lease(const gpualloc_holders *holders, size_t i)
{
	return gpualloc_holder_kind_of(gpualloc_holders_holder(holders, i)) !=
	       GPUALLOC_HOLDER_WITHOUT;
}

static void add_pids(struct ga_buffer *text, const struct call *call,
		     const gpualloc_holders *holders)
{
	struct ga_json json = {.out = text};
	size_t count = gpualloc_holders_count(holders);

	for (size_t i = 0; !call->value[OPTION_JSON] && i < count; i++)
		if (has_lease(holders, i))
			ga_buffer_format(text, "%lld\n",
					 (long long)gpualloc_holder_pid(
						 gpualloc_holders_holder(holders, i)));
	if (!call->value[OPTION_JSON])
		return;
	begin_document(&json, call);
	ga_json_text(&json, "lease", call->value[OPTION_PIDS]);
	ga_json_open(&json, "processes", '[');
	for (size_t i = 0; i < count; i++)
		if (has_lease(holders, i))
			add_holder_json(&json, gpualloc_holders_holder(holders, i));
	ga_json_close(&json, ']');
	ga_json_number(&json, "unseen", (int64_t)gpualloc_holders_unseen(holders));
	end_document(&json);
}

static int show_pids(const struct call *call)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	auto_store gpualloc_store *store = NULL;
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	ga_cleanup(free_holders) gpualloc_holders *holders = NULL;
	size_t unseen;
	int result = store_to_look(call, STORE_FOR_LEASES, &store);

	if (result)
		return result;
	if (!store)
		return fail(gpualloc_exit_status(GPUALLOC_EPERM),
			    "there is no lease \"%s\": there is no store %s",
			    call->value[OPTION_PIDS], gpualloc_store_default());
	result = gpualloc_holders_read(store, call->value[OPTION_PIDS], &holders, error);
	if (result < 0)
		return fail_error(result, error);
	unseen = gpualloc_holders_unseen(holders);
	add_pids(&text, call, holders);
	if (unseen > 0 && !call->value[OPTION_QUIET])
		say("note: processes of other users that were not looked at: %zu. Together they have "
		    "too many files open; those of the lease's user were all looked at",
		    unseen);
	return output_print(&text);
}

static int run(const struct call *call)
{
	int result;

	if (call->value[OPTION_PIDS] && call->value[OPTION_WATCH])
		return fail_usage(call->command, "--pids shows one lease, --watch shows all; use "
						 "one of them");
	if (call->value[OPTION_PIDS])
		return show_pids(call);
	if (!call->value[OPTION_WATCH])
		return show(call);
	if (call->value[OPTION_JSON])
		return fail_usage(call->command, "--watch is for people, --json is for programs; "
						 "use one of them");
	if (isatty(STDOUT_FILENO) != 1)
		return fail_usage(call->command, "--watch repaints a terminal, but stdout is not a "
						 "terminal");
	do
		result = show(call);
	while (result == 0 && nanosleep(&(struct timespec){.tv_sec = WATCH_SECONDS}, NULL) == 0);
	return result;
}

const struct command command_leases = {
	.name = "leases",
	.sentence = "who holds what, and who waits",
	.description =
		"Shows each lease: its owner, since when, its devices and its command; what runs "
		"on those devices, and which processes have no lease there; then the queue, in "
		"order, and what is kept for those in it. A device that is held with nothing else "
		"known is shown as \"held, no record\". A machine without a store has no leases. "
		"The driver gets 2s to answer, or what --deadline says; after that the leases are "
		"shown without what runs there.",
	.example = "gpualloc leases",
	.options = (const enum option_id[]){OPTION_DEADLINE, OPTION_HELP, OPTION_JSON,
					    OPTION_MACHINE, OPTION_ON, OPTION_PIDS, OPTION_PRIVATE,
					    OPTION_QUIET, OPTION_WATCH, OPTION_END},
	.run = run,
};
