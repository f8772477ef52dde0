/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands with --on; see on.h. A host that gives no answer is a line on stderr. The exit status is
 * 0 if any host did what was asked, else theirs if they agree, else 69.
 */
#include "hosts/on.h"

#include "hosts/offers.h"
#include "hosts/run.h"
#include "hosts/show.h"
#include "hosts/watch_hosts.h"
#include "message.h"
#include "options.h"
#include "output.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATUS_UNAVAILABLE = 69, CONNECT_MS = 10000, LEASE_MOST = 100 };

/* ---- the words ---- */

static bool is_for_us(enum option_id id)
{
	static const enum option_id ours[] = {OPTION_CHDIR, OPTION_CSV,      OPTION_ENV,
					      OPTION_HELP,  OPTION_INTERVAL, OPTION_JSON,
					      OPTION_KEEP,  OPTION_ON,       OPTION_WATCH};

	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if (ours[i] == id)
			return true;
	return false;
}

/* "--name=value", "--name" */
static bool add_option(struct ga_buffer *text, const struct option_info *info, const char *value)
{
	ga_buffer_format(text, "--%s", info->name);
	if (info->argument && (*value || !info->may_lack))
		ga_buffer_format(text, "=%s", value);
	ga_buffer_char(text, '\0');
	return !text->failed;
}

static void add_word(struct ga_buffer *text, const char *word)
{
	ga_buffer_append(text, word, strlen(word) + 1);
}

/* The pointers, then the words they point to, in one piece of memory. */
static char **to_list(const struct ga_buffer *words)
{
	size_t count = 0, pointers;
	char **list, *at;

	for (size_t i = 0; i < words->size; i++)
		count += !words->data[i];
	pointers = (count + 1) * sizeof *list;
	list = words->failed ? NULL : malloc(pointers + words->size);
	if (!list)
		return NULL;
	at = (char *)list + pointers;
	memcpy(at, words->data, words->size);
	for (size_t i = 0; i < count; i++) {
		list[i] = at;
		at += strlen(at) + 1;
	}
	list[count] = NULL;
	return list;
}

char **on_words(const struct call *call, const char *const *more)
{
	ga_auto_buffer struct ga_buffer words = GA_BUFFER_INIT(REQUEST_MOST);

	add_word(&words, call->command->name);
	for (const enum option_id *id = call->command->options; *id != OPTION_END; id++)
		if (call->value[*id] && !is_for_us(*id))
			add_option(&words, option_info(*id), call->value[*id]);
	for (; more && *more; more++)
		add_word(&words, *more);
	if (call->operand_count > 0)
		add_word(&words, "--");
	for (size_t i = 0; i < call->operand_count; i++)
		add_word(&words, call->operands[i]);
	return to_list(&words);
}

/* ---- the outcome ---- */

static void say_reasons(const struct answers *answers)
{
	for (size_t i = 0; i < answers->count; i++)
		if (answers->list[i].reason)
			say("%s: %s", answers->list[i].host->name, answers->list[i].reason);
}

static int outcome(const struct answers *answers)
{
	int status = answers->list[0].status;

	for (size_t i = 0; i < answers->count; i++) {
		if (answers->list[i].status == 0)
			return 0;
		if (answers->list[i].status != status)
			status = STATUS_UNAVAILABLE;
	}
	return status;
}

/* What gpualloc there said though it did what it was asked: notes, and what release ends. */
static void say_notes(const struct answers *answers)
{
	for (size_t i = 0; i < answers->count; i++) {
		const struct answer *answer = &answers->list[i];
		struct ga_view rest = {answer->errors.data, answer->errors.size}, line;

		while (!answer->reason && rest.size > 0 && ga_view_line(&rest, &line)) {
			bool is_note;
			ga_auto_free char *sentence = answer_sentence(line, &is_note);

			if (sentence)
				say("%s: %s", answer->host->name, sentence);
		}
	}
}

/* Of one host the reason is the error; of several each reason is a note, and this comes last. */
static int fail_all(const struct answers *answers, int status)
{
	if (answers->count == 1)
		return fail(status, "%s: %s", answers->list[0].host->name, answers->list[0].reason);
	say_reasons(answers);
	return fail(status, "none of these %zu hosts did what was asked", answers->count);
}

static int show(const struct answers *answers, bool as_text)
{
	const struct call *call = answers->call;
	struct terminal terminal = terminal_of(STDOUT_FILENO);
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	int status = outcome(answers);

	if (status)
		return fail_all(answers, status);
	say_reasons(answers);
	if (!call->value[OPTION_QUIET])
		say_notes(answers);
	if (call->value[OPTION_JSON])
		show_json(&text, answers);
	else if (call->value[OPTION_CSV])
		show_csv(&text, answers);
	else if (as_text)
		show_texts(&text, answers, &terminal);
	else if (strcmp(call->command->name, "list") == 0)
		show_list(&text, answers, &terminal);
	else
		show_leases(&text, answers, &terminal);
	return output_print(&text);
}

/* ---- asking ---- */

/* A driver there may take its time, and ssh some to get there. */
static int64_t deadline_of(const struct call *call)
{
	int64_t driver = call->deadline_ms ? call->deadline_ms : GPUALLOC_DEADLINE_DEFAULT_MS;

	return call->value[OPTION_WAIT] ? -1 : CONNECT_MS + driver;
}

int ask_words(const struct call *call, const struct hosts *hosts, char **words, const char *command,
	      struct answer **ret_answers)
{
	struct request request = {
		.mode = REQUEST_ASK, .words = words, .agent = getenv("GPUALLOC_AGENT")};
	struct question question = {
		.request = &request, .command = command, .deadline_ms = deadline_of(call)};

	while (words[request.word_count])
		request.word_count++;
	return ask(hosts, &question, ret_answers);
}

/* The same of all hosts, shown together. */
static int ask_all(const struct call *call, const struct hosts *hosts, bool as_text)
{
	static const char *const json[] = {"--json", NULL}, *const csv[] = {"--csv", NULL};
	bool wants_csv = call->value[OPTION_CSV] != NULL;
	bool wants_text = as_text && !call->value[OPTION_JSON];
	ga_auto_free char **words = on_words(call, wants_csv ? csv : wants_text ? NULL : json);
	struct answers answers = {.call = call, .count = hosts->count};
	struct answer *list = NULL;
	int result;

	if (!words)
		return fail_memory();
	result = ask_words(call, hosts, words, wants_csv || wants_text ? NULL : call->command->name,
			   &list);
	if (result)
		return result;
	answers.list = list;
	result = show(&answers, wants_text);
	answers_free(list, hosts->count);
	return result;
}

static int on_list(const struct call *call, const struct hosts *hosts)
{
	bool is_list = strcmp(call->command->name, "list") == 0;

	if (call->value[OPTION_WATCH] && !is_list)
		return fail_usage(call->command,
				  "leases --watch shows this host; list --watch --on "
				  "shows several");
	if (call->value[OPTION_INTERVAL] && !call->value[OPTION_WATCH])
		return fail_usage(call->command, "--interval says how often --watch looks; give "
						 "that too");
	if (call->value[OPTION_WATCH])
		return watch_hosts(call, hosts);
	/* A lease's processes are a list of their own. */
	return ask_all(call, hosts, call->value[OPTION_PIDS] != NULL);
}

static int on_texts(const struct call *call, const struct hosts *hosts)
{
	if (call->value[OPTION_SVG])
		return fail_usage(call->command,
				  "--svg draws one machine; ask one host for it: "
				  "ssh HOST gpualloc %s --svg -",
				  call->command->name);
	return ask_all(call, hosts, true);
}

static int on_log(const struct call *call, const struct hosts *hosts)
{
	struct call plain = *call;

	if (call->value[OPTION_FOLLOW])
		return fail_usage(call->command,
				  "--follow shows the log of this host; over there: "
				  "ssh HOST gpualloc log --follow %s",
				  call->operands[0]);
	/* A log is no document. */
	plain.value[OPTION_JSON] = NULL;
	return ask_all(&plain, hosts, true);
}

/* "HOST IDS" of the best. */
static int on_pick(const struct call *call, const struct hosts *hosts)
{
	struct offer *offers;
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	int result;

	if (call->value[OPTION_FORMAT] && !call->value[OPTION_JSON])
		return fail_usage(call->command,
				  "pick --on prints the best host and UUIDs; --format "
				  "does not go with it");
	if (call->value[OPTION_JSON])
		return ask_all(call, hosts, true);
	offers = calloc(hosts->count, sizeof *offers);
	result = offers ? offers_find(call, hosts, offers) : fail_memory();
	if (result == 0)
		result = offers_status(offers, hosts->count);
	if (result == 0) {
		ga_buffer_format(&text, "%s %s\n", offers[0].host->name,
				 offers[0].ids ? offers[0].ids : "-");
		result = output_print(&text);
	}
	offers_free(offers, hosts->count);
	return result;
}

/* On one host. Its answer is "HOST LEASE". What goes wrong is an error only if no other is asked. */
static int hold_at(const struct call *call, const struct hosts *hosts, bool is_only)
{
	static const char *const json[] = {"--json", NULL};
	ga_auto_free char **words = on_words(call, call->value[OPTION_JSON] ? json : NULL);
	struct answer *list = NULL;
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct answers answers = {.call = call, .count = 1};
	int result = words ? ask_words(call, hosts, words, call->value[OPTION_JSON] ? "hold" : NULL,
				       &list)
			   : fail_memory();

	if (result)
		return result;
	answers.list = list;
	result = list->status;
	if (result && is_only)
		(void)fail(result, "%s: %s", list->host->name, list->reason);
	else if (result)
		say("%s: %s", list->host->name, list->reason);
	else if (call->value[OPTION_JSON])
		show_json(&text, &answers);
	else
		ga_buffer_format(&text, "%s %.*s", list->host->name,
				 (int)(list->size < LEASE_MOST ? list->size : LEASE_MOST),
				 list->out);
	if (result == 0)
		result = output_print(&text);
	answers_free(list, 1);
	return result;
}

static int on_hold(const struct call *call, const struct hosts *hosts)
{
	struct offer *offers;
	int result;

	if (hosts->count == 1)
		return hold_at(call, hosts, true);
	if (call->value[OPTION_WAIT] || call->value[OPTION_EXTEND])
		return fail_usage(call->command, "--%s with --on needs a single host",
				  call->value[OPTION_WAIT] ? "wait" : "extend");
	offers = calloc(hosts->count, sizeof *offers);
	result = offers ? offers_find(call, hosts, offers) : fail_memory();
	if (result) {
		offers_free(offers, hosts->count);
		return result;
	}
	result = offers_status(offers, hosts->count);
	/* Somebody may have been quicker at the best. */
	for (size_t i = 0; i < hosts->count && offers[i].status == 0; i++) {
		struct host host = *offers[i].host;
		struct hosts one = {.list = &host, .count = 1};

		result = hold_at(call, &one, false);
		if (result != STATUS_BUSY_THERE)
			break;
	}
	offers_free(offers, hosts->count);
	return result ? fail(result, "none of these %zu hosts did what was asked", hosts->count)
		      : 0;
}

static const struct {
	const char *command;
	int (*run)(const struct call *call, const struct hosts *hosts);
} able[] = {{"explain", on_texts}, {"hold", on_hold},  {"leases", on_list},   {"list", on_list},
	    {"log", on_log},       {"pick", on_pick},  {"release", on_texts}, {"run", run_on},
	    {"topo", on_texts},    {"usage", on_texts}};

int on_hosts(const struct call *call)
{
	auto_hosts struct hosts hosts = {0};
	int result = hosts_named(call, &hosts);

	if (result)
		return result;
	for (size_t i = 0; i < sizeof able / sizeof *able; i++)
		if (strcmp(able[i].command, call->command->name) == 0)
			return able[i].run(call, &hosts);
	return fail_usage(call->command, "%s has no --on", call->command->name);
}
