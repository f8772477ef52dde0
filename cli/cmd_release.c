/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpualloc release: ends leases. Finds all names and asks everything before it ends the first
 * process. It ends only processes that have the lease, and never those that started it.
 */
#include "buffer.h"
#include "json_writer.h"
#include "lease_find.h"
#include "message.h"
#include "open.h"
#include "output.h"
#include "owned.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GRACE_MS = 10000 };

struct target {
	struct lease_found found;
	gpualloc_holders *holders;
	bool only_keepers; /* what runs in a hold is left alone */
};

struct release {
	const struct call *call;
	struct lease_stores stores;
	struct target *list;
	size_t count;
};

static void release_free(struct release *release)
{
	for (size_t i = 0; i < release->count; i++)
		gpualloc_holders_free(release->list[i].holders);
	free(release->list);
	lease_stores_free(&release->stores);
}

/* ---- which ---- */

static size_t count_kind(const struct target *target, enum gpualloc_holder_kind kind)
{
	size_t count = 0;

	for (size_t i = 0; i < gpualloc_holders_count(target->holders); i++)
		count += gpualloc_holder_kind_of(gpualloc_holders_holder(target->holders, i)) ==
			 kind;
	return count;
}

static bool is_there(const struct release *release, const char *id)
{
	for (size_t i = 0; i < release->count; i++)
		if (strcmp(release->list[i].found.id, id) == 0)
			return true;
	return false;
}

static int add_target(struct release *release, const char *word)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	struct target *target = &release->list[release->count];
	int result = lease_find(release->call, &release->stores, word, &target->found);

	if (result || is_there(release, target->found.id))
		return result;
	result = gpualloc_holders_read(target->found.store, target->found.id, &target->holders,
				       error);
	if (result < 0)
		return fail_error(result, error);
	target->only_keepers =
		!release->call->value[OPTION_YES] && count_kind(target, GPUALLOC_HOLDER_KEEPER) > 0;
	release->count++;
	return 0;
}

/* ---- saying what will end, and asking ---- */

static bool is_ended(const struct target *target, enum gpualloc_holder_kind kind)
{
	if (target->only_keepers)
		return kind == GPUALLOC_HOLDER_KEEPER;
	return kind != GPUALLOC_HOLDER_OURS && kind != GPUALLOC_HOLDER_WITHOUT &&
	       kind != GPUALLOC_HOLDER_OTHERS;
}

/* NULL if it is ended. */
static const char *why_left(const struct target *target, enum gpualloc_holder_kind kind)
{
	if (is_ended(target, kind))
		return NULL;
	switch (kind) {
	case GPUALLOC_HOLDER_OURS: return "release was started from it";
	case GPUALLOC_HOLDER_WITHOUT: return "it does not have the lease's descriptor";
	case GPUALLOC_HOLDER_OTHERS:
		return "it is not of the lease's user, who may have handed it the descriptor";
	default: return "it keeps the lease; --yes ends it too";
	}
}

/* A hold of the user's own in which nothing runs ends without a word. */
static bool is_asked_about(const struct target *target)
{
	return !target->found.is_own ||
	       (!target->only_keepers &&
		count_kind(target, GPUALLOC_HOLDER_JOB) +
				count_kind(target, GPUALLOC_HOLDER_SERVER) >
			0);
}

static const char *ending_of(enum gpualloc_holder_kind kind)
{
	return kind == GPUALLOC_HOLDER_SERVER
		       ? "will be ended, A TERMINAL MULTIPLEXER'S SERVER: all its windows end with "
			 "it"
		       : "will be ended";
}

static void list(const struct target *target)
{
	const gpualloc_holders *holders = target->holders;

	say("lease %s%s%s:", target->found.id, target->found.is_own ? "" : " of ",
	    target->found.is_own ? "" : target->found.user);
	for (size_t i = 0; i < gpualloc_holders_count(holders); i++) {
		const gpualloc_holder *holder = gpualloc_holders_holder(holders, i);
		const char *command = gpualloc_holder_command(holder);
		enum gpualloc_holder_kind kind = gpualloc_holder_kind_of(holder);
		const char *left = why_left(target, kind);

		say("  process %lld (%.60s) %s%s", (long long)gpualloc_holder_pid(holder),
		    command ? command : "?", left ? "left running: " : "",
		    left ? left : ending_of(kind));
	}
	if (gpualloc_holders_unseen(holders) > 0)
		say("  processes of other users that were not looked at and will not be ended: %zu; "
		    "together they have too many files open",
		    gpualloc_holders_unseen(holders));
}

static void list_all(const struct release *release)
{
	for (size_t i = 0; i < release->count; i++) {
		const struct target *target = &release->list[i];

		if (is_asked_about(target) || gpualloc_holders_unseen(target->holders) > 0 ||
		    count_kind(target, GPUALLOC_HOLDER_KEEPER) <
			    gpualloc_holders_count(target->holders))
			list(target);
	}
}

/* "y" or "yes"; anything else means no. */
static bool is_agreed(void)
{
	static const char question[] = "End the processes marked \"will be ended\"? [y/N] ";
	char answer[16] = "";

	(void)!write(STDERR_FILENO, question, sizeof question - 1);
	if (!fgets(answer, sizeof answer, stdin))
		return false;
	answer[strcspn(answer, "\r\n")] = '\0';
	return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}

static int ask(const struct release *release)
{
	bool is_needed = false;

	for (size_t i = 0; i < release->count; i++)
		is_needed = is_needed || is_asked_about(&release->list[i]);
	is_needed = is_needed && !release->call->value[OPTION_YES];
	/* A document that is printed says it all. */
	if (is_needed || (!release->call->value[OPTION_QUIET] && !message_is_json()))
		list_all(release);
	if (!is_needed)
		return 0;
	if (message_is_json())
		return fail_usage(release->call->command,
				  "nothing was ended: --json asks nobody; --yes ends it without "
				  "asking");
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return fail_usage(release->call->command,
				  "nothing was ended: there is no terminal to ask on; --yes ends "
				  "it without asking");
	return is_agreed() ? 0 : fail(gpualloc_exit_status(GPUALLOC_EPERM), "nothing was ended");
}

/* ---- ending ---- */

/* Listing the leases sweeps those that have ended, so their end is logged now. Says whether this
 * one has, as far as can be seen. */
static bool sweep(const struct target *target)
{
	auto_leases gpualloc_leases *leases = NULL;
	bool is_held = gpualloc_leases_read(target->found.store, &leases, NULL) < 0;

	for (size_t i = 0; !is_held && i < gpualloc_leases_held_count(leases); i++)
		is_held = strcmp(gpualloc_held_id(gpualloc_leases_held(leases, i)),
				 target->found.id) == 0;
	return !is_held;
}

static void add_process(struct ga_json *json, const struct target *target,
			const gpualloc_holder *holder)
{
	const char *left = why_left(target, gpualloc_holder_kind_of(holder));

	ga_json_open(json, NULL, '{');
	ga_json_number(json, "pid", gpualloc_holder_pid(holder));
	ga_json_text(json, "command", gpualloc_holder_command(holder));
	ga_json_bool(json, "ended", !left);
	ga_json_text(json, "left", left);
	ga_json_close(json, '}');
}

/* Ends one. What is ended and what is left is written down before: it is not seen afterwards. */
static int end(const struct target *target, struct ga_json *json)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	int result;

	ga_json_open(json, NULL, '{');
	ga_json_text(json, "id", target->found.id);
	ga_json_text(json, "user", target->found.user);
	ga_json_open(json, "processes", '[');
	for (size_t i = 0; i < gpualloc_holders_count(target->holders); i++)
		add_process(json, target, gpualloc_holders_holder(target->holders, i));
	ga_json_close(json, ']');
	ga_json_number(json, "unseen", (int64_t)gpualloc_holders_unseen(target->holders));
	result = gpualloc_holders_end(target->holders, target->only_keepers, GRACE_MS, error);
	ga_json_bool(json, "ended", sweep(target));
	ga_json_close(json, '}');
	return result < 0 ? fail_error(result, error) : 0;
}

static int end_all(const struct release *release)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct ga_json json = {.out = &text};
	int status = 0;

	begin_document(&json, release->call);
	ga_json_open(&json, "leases", '[');
	for (size_t i = 0; i < release->count; i++) {
		int result = end(&release->list[i], &json);

		status = result ? result : status;
	}
	ga_json_close(&json, ']');
	end_document(&json);
	return status || !release->call->value[OPTION_JSON] ? status : output_print(&text);
}

static int run(const struct call *call)
{
	ga_cleanup(release_free) struct release release = {.call = call};
	int result;

	release.list = calloc(call->operand_count, sizeof *release.list);
	if (!release.list)
		return fail_memory();
	result = lease_stores_open(call, &release.stores);
	for (size_t i = 0; result == 0 && i < call->operand_count; i++)
		result = add_target(&release, call->operands[i]);
	if (result == 0)
		result = ask(&release);
	return result ? result : end_all(&release);
}

const struct command command_release = {
	.name = "release",
	.sentence = "end leases before their time",
	.description =
		"Ends leases before their time: your own, or as root anybody's. A hold ends, but "
		"commands that run in it keep the lease. The processes of a job are listed; after "
		"a yes on the terminal, or with --yes, those that have the lease get SIGTERM, and "
		"SIGKILL 10s later. Processes that started release, and processes without the "
		"lease's descriptor, are never ended. The first characters of a LEASE are enough "
		"if no other begins with them.",
	.example = "gpualloc release $(gpualloc hold --machine dgx1-volta --for 1m)",
	.operand = "LEASE...",
	.operands_least = 1,
	.operands_most = SIZE_MAX,
	.complete = COMPLETE_LEASE,
	.options = (const enum option_id[]){OPTION_HELP, OPTION_JSON, OPTION_ON, OPTION_QUIET,
					    OPTION_YES, OPTION_END},
	.run = run,
};
