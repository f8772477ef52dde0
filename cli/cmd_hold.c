/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc hold: a lease for a time, held by a keeper. */
#include "agent.h"
#include "choose.h"
#include "duration.h"
#include "json_writer.h"
#include "keeper.h"
#include "lease_find.h"
#include "leasing.h"
#include "message.h"
#include "notify.h"
#include "open.h"
#include "options.h"
#include "orphan.h"
#include "output.h"
#include "owned.h"
#include "settle.h"
#include "stores.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { STATUS_DIED = 74 };

/* What the keeper-to-be is told. */
struct holding {
	const struct call *call;
	int64_t for_ms;
};

/* What the keeper-to-be reports: a status, and what goes to stdout. */
struct answer {
	int status;
	pid_t pid;
	size_t size;
};

static void add_answer(struct ga_buffer *text, const struct call *call, const gpualloc_lease *lease)
{
	struct ga_json json = {.out = text};

	if (!call->value[OPTION_JSON]) {
		ga_buffer_format(text, "%s\n", gpualloc_lease_id(lease));
		return;
	}
	begin_document(&json, call);
	agent_lease_json(&json, lease);
	end_document(&json);
}

static int send_answer(int status, const struct ga_buffer *text)
{
	struct answer answer = {status, getpid(), text ? text->size : 0};

	if (write(GA_ORPHAN_ANSWER, &answer, sizeof answer) != (ssize_t)sizeof answer)
		return STATUS_DIED;
	if (answer.size && write(GA_ORPHAN_ANSWER, text->data, text->size) != (ssize_t)text->size)
		return STATUS_DIED;
	return status;
}

/* ---- in the keeper-to-be ---- */

static int become_keeper(const struct call *call, int64_t for_ms, int notify, gpualloc_lease *lease)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_auto_free char **environment = NULL;
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	char title[64];
	int fd, result = gpualloc_lease_hand_on(lease, &fd, error);

	if (result == 0)
		result = gpualloc_lease_environment(lease, fd, GPUALLOC_FORM_DEFAULT,
						    call->value[OPTION_MACHINE], environ,
						    &environment, error);
	if (result < 0)
		return fail_error(result, error);
	if (isatty(STDERR_FILENO) && !call->value[OPTION_QUIET]) {
		say_lease(lease);
		say("held for %s: `gpualloc run --in %s COMMAND` uses it, `gpualloc release %s` "
		    "ends it",
		    call->value[OPTION_FOR], gpualloc_lease_id(lease), gpualloc_lease_id(lease));
	}
	add_answer(&text, call, lease);
	if (text.failed)
		return fail_memory();
	(void)snprintf(title, sizeof title, "gpualloc-hold %.32s", gpualloc_lease_id(lease));
	if (send_answer(0, &text) != 0)
		return STATUS_DIED;
	return fail(STATUS_DIED, "cannot leave a keeper: %s",
		    strerror(keeper_become(title, fd, for_ms, notify, agent_tether_of_hold(),
					   environment)));
}

static void end_notify(struct notify *notify)
{
	notify_end(notify);
}

static int hold(const struct call *call, int64_t for_ms)
{
	ga_cleanup(end_notify) struct notify notify = NOTIFY_NONE;
	/* An agent that comes back must know which of the holds outlive their sessions. */
	bool stays = agent_tether() >= 0 && agent_tether_of_hold() < 0;
	char word[] = "hold", kept[] = HOLD_KEPT, *const words[] = {stays ? kept : word, NULL};
	auto_chosen struct chosen chosen = {0};
	auto_store gpualloc_store *store = NULL;
	auto_lease gpualloc_lease *lease = NULL;
	int result = request_read(call, &chosen);

	if (result == 0)
		result = store_to_lease(call, &store);
	if (result == 0)
		result = notify_begin(call, &notify);
	if (result == 0)
		result = acquire(call, store, chosen.request, words, &lease);
	if (result == 0)
		result = settle(call, lease);
	if (result && call->value[OPTION_WAIT])
		notify_gave_up(&notify, NULL);
	if (result == 0)
		result = notify_lease(&notify, lease, NULL, 0);
	if (result == 0)
		result = become_keeper(call, for_ms, notify.to, lease);
	if (lease)
		(void)gpualloc_lease_release(lease, NULL);
	return result;
}

/*
 * A keeper must close everything that the caller has open, or it would keep the caller's locks and
 * pipes. The keeper acquires the lease itself, so the lease is its own.
 */
static int be_keeper(void *context, const gpualloc_error *trouble)
{
	const struct holding *holding = context;
	int result;

	if (agent_tether() >= 0)
		agent_tether_moved(GA_ORPHAN_ANSWER + 1);
	result = trouble ? fail_error(GPUALLOC_EIO, trouble) : hold(holding->call, holding->for_ms);
	(void)send_answer(result, NULL);
	return result;
}

/* ---- in the caller ---- */

static int no_word(void)
{
	return fail(STATUS_DIED, "the keeper ended before it could say what it holds; try again");
}

static int take_answer(int from)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct answer answer;
	char part[512];
	ssize_t size;
	int result;

	if (ga_orphan_read(from, &answer, sizeof answer) != (ssize_t)sizeof answer)
		return no_word();
	if (answer.status)
		return answer.status;
	/* Reads to the end of file, which comes once the keeper runs with nothing of ours open. */
	while ((size = ga_orphan_read(from, part, sizeof part)) > 0)
		ga_buffer_append(&text, part, (size_t)size);
	if (size < 0 || text.failed || text.size != answer.size + 1 ||
	    text.data[answer.size] != GA_ORPHAN_RUNS) {
		result = no_word();
	} else {
		text.size = answer.size;
		result = output_print(&text);
	}
	/* Nobody could release a hold that nobody was told about. */
	if (result)
		(void)kill(answer.pid, SIGTERM);
	return result;
}

/* An agent's keeper-to-be has the tether, too. */
static int begin_keeper(struct holding *holding, int *ret_from, gpualloc_error *why)
{
	int answer[2], result;

	if (agent_tether() < 0)
		return ga_orphan_start(be_keeper, holding, ret_from, why);
	if (pipe2(answer, O_CLOEXEC) < 0)
		return ga_error_errno(why, GPUALLOC_EIO, errno, "no process can be started");
	result = ga_orphan_start_with(be_keeper, holding, (int[]){answer[1], agent_tether()}, 2,
				      why);
	close(answer[1]);
	if (result == 0)
		*ret_from = answer[0];
	else
		close(answer[0]);
	return result;
}

static int start_keeper(const struct call *call, int64_t for_ms)
{
	gpualloc_error why = {0};
	struct holding holding = {call, for_ms};
	int from, result = begin_keeper(&holding, &from, &why);

	if (result < 0)
		return fail(STATUS_DIED, "cannot leave a keeper: %s", why.message);
	result = take_answer(from);
	close(from);
	return result;
}

/* ---- more time ---- */

static void free_stores(struct lease_stores *stores)
{
	lease_stores_free(stores);
}

static int refuse_options(const struct call *call)
{
	static const enum option_id others[] = {
		OPTION_COUNT,   OPTION_EXCLUDE, OPTION_IGNORE_ENV, OPTION_IGNORE_PROCESSES,
		OPTION_MACHINE, OPTION_MEMORY,  OPTION_MIG,        OPTION_MIXED,
		OPTION_MODEL,   OPTION_NOTE,    OPTION_NOTIFY,     OPTION_NOTIFY_BEFORE,
		OPTION_ON,      OPTION_ONLY,    OPTION_POLICY,     OPTION_PRIVATE,
		OPTION_REQUIRE, OPTION_SEED,    OPTION_SHARE,      OPTION_WAIT};

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (call->value[others[i]])
			return fail_usage(call->command,
					  "--extend gives a hold more time and changes nothing "
					  "else; leave out --%s",
					  option_info(others[i])->name);
	return 0;
}

static int print_end(const struct call *call, const char *lease, int64_t left_ms)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct ga_json json = {.out = &text};
	time_t until = time(NULL) + (time_t)(left_ms / 1000);
	char words[32] = "?";
	struct tm local;

	if (localtime_r(&until, &local))
		(void)strftime(words, sizeof words, "%Y-%m-%d %H:%M:%S", &local);
	if (!call->value[OPTION_JSON]) {
		ga_buffer_format(&text, "%s\n", words);
		return output_print(&text);
	}
	begin_document(&json, call);
	ga_json_text(&json, "lease", lease);
	ga_json_number(&json, "until", (int64_t)until);
	end_document(&json);
	return output_print(&text);
}

static int refuse_time(const struct lease_found *found, const struct keeper_answer *answer)
{
	int status = gpualloc_exit_status((int)answer->status);
	long long left = (long long)(answer->most_ms - answer->held_ms) / 1000;

	if (answer->most_ms < 0)
		return fail(status,
			    "hold %s cannot be extended: its configuration has mistakes; `gpualloc "
			    "run true` names them",
			    found->id);
	return fail(status,
		    "devices may be held for at most %lld s (max-hold, or agent-max-hold), counted from the "
		    "start; "
		    "hold %s can be extended by %lld s",
		    (long long)answer->most_ms / 1000, found->id, left < 0 ? 0 : left);
}

static int extend(const struct call *call, int64_t more_ms)
{
	ga_cleanup(free_stores) struct lease_stores stores = {0};
	struct keeper_answer answer;
	struct lease_found found;
	int result = refuse_options(call);

	if (result == 0)
		result = lease_stores_open(call, &stores);
	if (result == 0)
		result = lease_find(call, &stores, call->value[OPTION_EXTEND], &found);
	if (result)
		return result;
	if (!keeper_extend(found.store, found.id, more_ms, &answer))
		return fail(gpualloc_exit_status(GPUALLOC_EPERM),
			    "lease %s is not a hold that can be extended: it lasts as long as the "
			    "processes that `gpualloc leases --pids %s` lists",
			    found.id, found.id);
	return answer.status < 0 ? refuse_time(&found, &answer)
				 : print_end(call, found.id, answer.left_ms);
}

static int run(const struct call *call)
{
	const char *word = call->value[OPTION_FOR];
	int64_t for_ms = 0;
	int result = check_wait(call);

	if (result)
		return result;
	if (!word)
		return fail_usage(call->command, call->value[OPTION_EXTEND]
							 ? "how much longer? --for 2h"
							 : "for how long? --for 4h");
	result = duration_read(call, "--for", word, GA_DURATION_MAX, &for_ms);
	if (result)
		return result;
	return call->value[OPTION_EXTEND] ? extend(call, for_ms) : start_keeper(call, for_ms);
}

const struct command command_hold = {
	.name = "hold",
	.sentence = "lease devices for a time, without a command",
	.description =
		"Leases devices as run does and prints the lease's name. A small process, "
		"gpualloc-hold, keeps the lease until its time is up, even after the terminal is "
		"closed. gpualloc run --in LEASE runs commands in it; gpualloc release LEASE ends "
		"it early. Commands that still run in it keep it until they end. --extend LEASE "
		"--for 2h adds two hours to a hold and prints its new end.",
	.example = "gpualloc hold --machine dgx1-volta -n 2 --for 1s",
	.options = (const enum option_id[]){OPTION_COUNT,
					    OPTION_DEADLINE,
					    OPTION_EXCLUDE,
					    OPTION_EXTEND,
					    OPTION_FOR,
					    OPTION_HELP,
					    OPTION_IGNORE_ENV,
					    OPTION_IGNORE_PROCESSES,
					    OPTION_JSON,
					    OPTION_MACHINE,
					    OPTION_MEMORY,
					    OPTION_MIG,
					    OPTION_MIXED,
					    OPTION_MODEL,
					    OPTION_NOTE,
					    OPTION_NOTIFY,
					    OPTION_NOTIFY_BEFORE,
					    OPTION_ON,
					    OPTION_ONLY,
					    OPTION_POLICY,
					    OPTION_PRIVATE,
					    OPTION_QUIET,
					    OPTION_REQUIRE,
					    OPTION_SEED,
					    OPTION_SHARE,
					    OPTION_WAIT,
					    OPTION_END},
	.gives = true,
	.run = run,
};
