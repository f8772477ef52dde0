/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run, job_status, job_log, job_cancel. A job is `gpualloc run` below a minder. It has its lease
 * when it says so through its tether; until then what it prints is what the command says about it.
 */
#include "clock.h"
#include "mcp/minder.h"
#include "mcp/rpc.h"
#include "mcp/session.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define LIMIT_DEFAULT "1h"

/* ---- what this session runs ---- */

static struct job *job_by_id(struct session *session, const char *id)
{
	for (size_t i = 0; i < JOBS_MOST; i++)
		if (*session->jobs[i].id && strcmp(session->jobs[i].id, id) == 0)
			return &session->jobs[i];
	return NULL;
}

static void job_clear(struct session *session, struct job *job)
{
	keys_forget(session, NULL, job);
	if (job->tether >= 0)
		close(job->tether);
	if (job->out >= 0)
		close(job->out);
	json_decref(job->devices);
	free(job->command);
	log_free(&job->log);
	ga_buffer_free(&job->complained);
	*job = (struct job){.tether = -1, .out = -1};
}

/* A free place, or that of the job that ended first; NULL if too many run. */
static struct job *place_for_job(struct session *session)
{
	struct job *place = NULL, *oldest = NULL;
	size_t running = 0;

	for (size_t i = 0; i < JOBS_MOST; i++) {
		struct job *job = &session->jobs[i];

		if (!*job->id)
			place = place ? place : job;
		else if (job->state != JOB_ENDED)
			running++;
		else if (!job->minder && (!oldest || job->ended < oldest->ended))
			oldest = job;
	}
	if (running >= RUNNING_MOST || (!place && !oldest))
		return NULL;
	if (!place) {
		job_clear(session, oldest);
		place = oldest;
	}
	return place;
}

/* ---- what is said of a job ---- */

static const char *state_of(const struct job *job)
{
	if (job->state == JOB_WAITING)
		return "waiting";
	if (job->state == JOB_RUNNING)
		return job->is_cancelled ? "ending" : "running";
	return job->is_cancelled ? "cancelled" : job->exit_status == 0 ? "done" : "failed";
}

static json_t *seen(const struct job *job)
{
	json_t *shown = json_pack("{s:s, s:s, s:s, s:I}", "job", job->id, "state", state_of(job),
				  "command", job->command, "started", (json_int_t)job->started);

	if (*job->lease)
		(void)json_object_set_new(shown, "lease", json_string(job->lease));
	if (job->devices)
		(void)json_object_set(shown, "devices", job->devices);
	if (job->until > 0 && job->state != JOB_ENDED)
		(void)json_object_set_new(shown, "until", json_integer((json_int_t)job->until));
	if (job->state == JOB_ENDED)
		(void)json_object_set_new(shown, "ended", json_integer((json_int_t)job->ended));
	if (job->exit_status >= 0)
		(void)json_object_set_new(shown, "exit_status", json_integer(job->exit_status));
	if (job->signal > 0)
		(void)json_object_set_new(shown, "signal", json_integer(job->signal));
	(void)json_object_set_new(shown, "log_size", json_integer((json_int_t)job->log.total));
	return shown;
}

/* Cut between characters: a document has whole ones. */
static size_t whole_characters(const char *text, size_t size, size_t most)
{
	if (size <= most)
		return size;
	while (most > 0 && ((unsigned char)text[most] & 0xc0) == 0x80)
		most--;
	return most;
}

static void add_words(struct ga_buffer *text, const struct job *job)
{
	enum { SHOWN = 80 };
	size_t shown = whole_characters(job->command, strlen(job->command), SHOWN);

	ga_buffer_format(text, "job %s: %s", job->id, state_of(job));
	if (job->exit_status >= 0)
		ga_buffer_format(text, ", exit status %d", job->exit_status);
	if (job->signal > 0)
		ga_buffer_format(text, ", ended by signal %d", job->signal);
	if (job->state == JOB_RUNNING && job->until > 0) {
		ga_buffer_text(text, ", until at most ");
		answer_add_time(text, job->until);
	}
	ga_buffer_format(text, ", %llu bytes printed: %.*s", (unsigned long long)job->log.total,
			 (int)shown, job->command);
}

/* ---- run ---- */

static const struct field run_fields[] = {
	{"command", FIELD_WORDS, true, NULL,
	 "the program and its arguments, each a text of its own; there is no shell"},
	{"note", FIELD_TEXT, true, "--note", "what for, in a few words that others will read"},
	FIELDS_OF_CHOICE,
	{"lease", FIELD_TEXT, false, "--in", "run in this lease of yours, on all its devices"},
	{"time_limit", FIELD_TEXT, false, NULL,
	 "it is ended after this long; default \"1h\", in a lease what is left of it"},
	{"wait", FIELD_TEXT, false, "--wait", "wait in the queue at most so long: \"10m\""},
	{"folder", FIELD_TEXT, false, NULL, "where it runs: an absolute path"},
	FIELD_KEY,
	FIELD_END};

static const char *text_of(const struct pending *pending, const char *name)
{
	return json_string_value(json_object_get(pending->arguments, name));
}

static bool names_a_choice(const struct pending *pending)
{
	static const struct field choice[] = {FIELDS_OF_CHOICE, FIELD_END};

	for (const struct field *field = choice; field->name; field++)
		if (json_object_get(pending->arguments, field->name))
			return true;
	return json_object_get(pending->arguments, "wait") != NULL;
}

/* In a lease no longer than that lasts. */
static bool read_limit(struct session *session, struct pending *pending)
{
	const char *id = text_of(pending, "lease");
	const struct lease *lease = id ? lease_by_id(session, id) : NULL;
	int64_t left_ms = lease ? (lease->until - (int64_t)time(NULL)) * 1000 : 0;

	pending->for_ms = id ? left_ms : INT64_C(60) * 60 * 1000;
	if (id && (!lease || left_ms < 1000)) {
		refuse(session, pending, NULL,
		       "this session has no lease \"%s\", or it is over; take one with lease", id);
		return false;
	}
	if (!read_for(session, pending, "time_limit", &pending->for_ms))
		return false;
	if (!id || pending->for_ms <= left_ms)
		return true;
	refuse(session, pending, NULL,
	       "lease %s ends in %lld s, before this job would: extend it first, or give a shorter "
	       "time_limit",
	       id, (long long)left_ms / 1000);
	return false;
}

static bool check_run(struct session *session, struct pending *pending)
{
	const char *folder = text_of(pending, "folder");

	if (text_of(pending, "lease") && names_a_choice(pending)) {
		refuse(session, pending, NULL,
		       "a job in a lease uses all its devices: leave out what chooses devices, and "
		       "wait");
		return false;
	}
	if (folder && *folder != '/') {
		refuse(session, pending, NULL, "folder must be an absolute path");
		return false;
	}
	return read_limit(session, pending);
}

static char *joined(const json_t *list)
{
	enum { COMMAND_SHOWN = 200 };
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(1 << 18);

	for (size_t i = 0; i < json_array_size(list); i++)
		ga_buffer_format(&text, "%s%s", i ? " " : "",
				 json_string_value(json_array_get(list, i)));
	if (text.failed)
		return NULL;
	text.data[whole_characters(text.data, text.size, COMMAND_SHOWN)] = '\0';
	return ga_buffer_take(&text, NULL);
}

static void add_run_words(const struct session *session, const struct pending *pending,
			  struct words *words)
{
	const json_t *command = json_object_get(pending->arguments, "command");

	words_add(words, "run");
	if (!text_of(pending, "lease"))
		add_machine_option(session, words);
	words_add_options(words, run_fields, pending->arguments);
	words_add(words, "--time-limit=%llds", (long long)(pending->for_ms + 999) / 1000);
	words_add(words, "--");
	for (size_t i = 0; i < json_array_size(command); i++)
		words_add(words, "%s", json_string_value(json_array_get(command, i)));
}

static void begin_run(struct session *session, struct pending *pending)
{
	struct words words = {0};
	struct job *job = check_run(session, pending) ? place_for_job(session) : NULL;

	if (pending->is_answered)
		return;
	if (!job) {
		refuse(session, pending, NULL, "%d jobs of yours run already: wait for one to end",
		       RUNNING_MOST);
		return;
	}
	*job = (struct job){.tether = -1,
			    .out = -1,
			    .exit_status = -1,
			    .signal = -1,
			    .complained = GA_BUFFER_INIT(RPC_LINE_MOST)};
	job->command = joined(json_object_get(pending->arguments, "command"));
	add_run_words(session, pending, &words);
	(void)snprintf(job->id, sizeof job->id, "j%u", ++session->job_number);
	job->started = (int64_t)time(NULL);
	pending->job = job;
	if (!job->command || words.failed ||
	    !session->start_job(session, job, &words, text_of(pending, "folder"))) {
		pending->job = NULL;
		job_clear(session, job);
		refuse(session, pending, NULL,
		       "the server cannot start a process; try again later");
	}
	words_free(&words);
}

static struct pending *waits_for(const struct session *session, const struct job *job)
{
	for (struct pending *pending = session->pending; pending; pending = pending->next)
		if (pending->job == job)
			return pending;
	return NULL;
}

static void job_runs(struct session *session, struct job *job, json_t *told)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct pending *pending = waits_for(session, job);
	const char *lease = json_string_value(json_object_get(told, "lease"));
	json_t *shown;

	job->state = JOB_RUNNING;
	job->started = (int64_t)time(NULL);
	(void)snprintf(job->lease, sizeof job->lease, "%s", lease ? lease : "?");
	job->devices = json_incref(json_object_get(told, "ids"));
	if (!pending)
		return;
	job->until = job->started + (pending->for_ms + 999) / 1000;
	pending->job = NULL;
	shown = seen(job);
	add_words(&text, job);
	ga_buffer_format(&text, "\nIt has lease %s. See job_status, job_log.", job->lease);
	keys_remember(session, pending, NULL, job, shown, text.failed ? "" : text.data);
	answer(session, pending, shown, text.failed ? "" : text.data);
}

/* Notes while it waits, and why it did not get anything. */
static void job_is_talked_about(struct session *session, struct job *job, const char *text,
				size_t size)
{
	struct pending *pending = waits_for(session, job);

	ga_buffer_append(&job->complained, text, size);
	if (pending && !job->complained.failed)
		answer_notes(session, pending, job->complained.data, job->complained.size,
			     &job->looked_at);
}

void job_was_told(struct session *session, struct job *job, const char *text, size_t size)
{
	json_t *told = json_loadb(text, size, 0, NULL);
	const json_t *status = json_object_get(told, "exit"),
		     *number = json_object_get(told, "signal");

	if (json_object_get(told, "lease") && job->state == JOB_WAITING)
		job_runs(session, job, told);
	else if (json_is_integer(status))
		job->exit_status = (int)json_integer_value(status);
	else if (json_is_integer(number))
		job->signal = (int)json_integer_value(number);
	else if (job->state == JOB_WAITING)
		job_is_talked_about(session, job, text, size);
	json_decref(told);
}

/* All its processes have ended, or nobody is there who would know. */
void job_has_ended(struct session *session, struct job *job)
{
	struct pending *pending = waits_for(session, job);
	bool never_ran = job->state == JOB_WAITING;

	job->state = JOB_ENDED;
	job->ended = (int64_t)time(NULL);
	close(job->tether);
	job->tether = -1;
	if (pending) {
		uint64_t begin = 0;

		pending->job = NULL;
		/* What could not even be started says why where it would have printed. */
		if (job->complained.size == 0)
			(void)log_read(&job->log, &begin, LOG_MOST, true, &job->complained);
		if (!pending->is_answered)
			refuse_as(session, pending, job->complained.data, job->complained.size,
				  job->exit_status);
	}
	/* It never got anything, so there is nothing to look at. */
	if (never_ran)
		job_clear(session, job);
}

void job_answer(struct session *session, struct pending *pending, const struct job *job)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;

	add_words(&text, job);
	answer(session, pending, seen(job), text.failed ? "" : text.data);
}

#define JOB_SCHEMA                                                                                 \
	"{\"type\":\"object\",\"required\":[\"job\",\"state\"],\"properties\":{\"job\":{\"type\":" \
	"\"string\"},\"state\":{\"type\":\"string\"},\"command\":{\"type\":\"string\"},"           \
	"\"lease\":{\"type\":\"string\"},\"devices\":{\"type\":\"array\",\"items\":{\"type\":"     \
	"\"string\"}},\"started\":{\"type\":\"integer\"},\"until\":{\"type\":\"integer\"},"        \
	"\"ended\":{\"type\":\"integer\"},\"exit_status\":{\"type\":\"integer\"},"                 \
	"\"signal\":{\"type\":\"integer\"},\"log_size\":{\"type\":\"integer\"}}}"

const struct tool tool_run = {
	.name = "run",
	.title = "Run a command on GPUs",
	.description =
		"Leases devices and runs a command there in the background; answers with a job "
		"as soon as it runs. The devices are free again when it ends. It ends with this "
		"session.",
	.fields = run_fields,
	.output = JOB_SCHEMA,
	.begin = begin_run,
};

/* ---- job_status ---- */

static const struct field status_fields[] = {
	{"job", FIELD_TEXT, false, NULL, "the job; default: all of this session"}, FIELD_END};

static void add_job(json_t *jobs, struct ga_buffer *text, const struct job *job)
{
	(void)json_array_append_new(jobs, seen(job));
	if (text->size > 0)
		ga_buffer_char(text, '\n');
	add_words(text, job);
}

static struct job *named_job(struct session *session, struct pending *pending)
{
	const char *id = text_of(pending, "job");
	struct job *job = id ? job_by_id(session, id) : NULL;

	if (id && !job)
		refuse(session, pending, NULL, "this session has no job \"%s\"", id);
	return job;
}

static void begin_status(struct session *session, struct pending *pending)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	const struct job *job = named_job(session, pending);
	json_t *jobs;

	if (pending->is_answered)
		return;
	jobs = json_array();
	if (job)
		add_job(jobs, &text, job);
	for (size_t i = 0; !job && i < JOBS_MOST; i++)
		if (*session->jobs[i].id)
			add_job(jobs, &text, &session->jobs[i]);
	if (text.size == 0)
		ga_buffer_text(&text, "this session has no jobs");
	answer(session, pending, json_pack("{s:o}", "jobs", jobs), text.failed ? "" : text.data);
}

const struct tool tool_job_status = {
	.name = "job_status",
	.title = "Status of a job",
	.description = "Whether a job waits, runs or has ended, and how.",
	.fields = status_fields,
	.output = "{\"type\":\"object\",\"required\":[\"jobs\"],\"properties\":{\"jobs\":{\"type\":"
		  "\"array\",\"items\":" JOB_SCHEMA "}}}",
	.reads_only = true,
	.is_idempotent = true,
	.begin = begin_status,
};

/* ---- job_log ---- */

enum { LOG_PART = 16 << 10, LOG_PART_MOST = 64 << 10 };

static const struct field log_fields[] = {
	{"job", FIELD_TEXT, true, NULL, "the job"},
	{"cursor", FIELD_NUMBER, false, NULL,
	 "where to go on: next_cursor of the answer before; default: its last 16 KiB"},
	{"size", FIELD_NUMBER, false, NULL, "how many bytes at most; default 16384, at most 65536"},
	FIELD_END};

static void begin_log(struct session *session, struct pending *pending)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT, shown = GA_BUFFER_OUTPUT;
	const json_t *from = json_object_get(pending->arguments, "cursor");
	const json_t *most = json_object_get(pending->arguments, "size");
	json_int_t size = json_is_integer(most) ? json_integer_value(most) : LOG_PART;
	const struct job *job = named_job(session, pending);
	uint64_t cursor = (uint64_t)json_integer_value(from), lost;
	bool has_ended, is_all;

	if (!job)
		return;
	has_ended = job->state == JOB_ENDED && job->out < 0;
	size = size < 1 ? 1 : size > LOG_PART_MOST ? LOG_PART_MOST : size;
	if (!from)
		cursor = job->log.total > (uint64_t)size ? job->log.total - (uint64_t)size : 0;
	if (job->state == JOB_WAITING)
		lost = 0;
	else
		lost = log_read(&job->log, &cursor, (size_t)size, has_ended, &text);
	is_all = has_ended && cursor == job->log.total;
	if (lost > 0)
		ga_buffer_format(&shown, "[%llu bytes before this are no longer there]\n",
				 (unsigned long long)lost);
	ga_buffer_text(&shown, text.data ? text.data : "");
	ga_buffer_format(&shown, "\n[%s; next_cursor %llu]",
			 is_all      ? "the end: the job has ended"
			 : has_ended ? "there is more"
				     : "the job goes on",
			 (unsigned long long)cursor);
	answer(session, pending,
	       json_pack("{s:s, s:s, s:I, s:I, s:b}", "job", job->id, "text",
			 text.data ? text.data : "", "next_cursor", (json_int_t)cursor, "lost",
			 (json_int_t)lost, "is_all", is_all),
	       shown.failed ? "" : shown.data);
}

const struct tool tool_job_log = {
	.name = "job_log",
	.title = "What a job printed",
	.description =
		"What a job printed, stdout and stderr together, in parts. The last 512 KiB are "
		"there; redirect into a file what you need whole.",
	.fields = log_fields,
	.output = "{\"type\":\"object\",\"required\":[\"text\",\"next_cursor\"],\"properties\":{"
		  "\"job\":{\"type\":\"string\"},\"text\":{\"type\":\"string\"},\"next_cursor\":{"
		  "\"type\":\"integer\"},\"lost\":{\"type\":\"integer\"},\"is_all\":{\"type\":"
		  "\"boolean\"}}}",
	.reads_only = true,
	.is_idempotent = true,
	.begin = begin_log,
};

/* ---- job_cancel ---- */

static const struct field cancel_fields[] = {{"job", FIELD_TEXT, true, NULL, "the job"}, FIELD_END};

static void begin_cancel(struct session *session, struct pending *pending)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	struct job *job = named_job(session, pending);
	const char word = MINDER_END;

	if (!job)
		return;
	if (job->state != JOB_ENDED) {
		job->is_cancelled = true;
		(void)send(job->tether, &word, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	add_words(&text, job);
	if (job->state != JOB_ENDED)
		ga_buffer_text(&text, "\nIt was asked to end (SIGTERM); in 10 s it is killed.");
	answer(session, pending, seen(job), text.failed ? "" : text.data);
}

const struct tool tool_job_cancel = {
	.name = "job_cancel",
	.title = "End a job",
	.description = "Ends a job of this session: SIGTERM, and SIGKILL 10 s later.",
	.fields = cancel_fields,
	.output = JOB_SCHEMA,
	.is_destructive = true,
	.is_idempotent = true,
	.begin = begin_cancel,
};
