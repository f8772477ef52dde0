/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client of `gpualloc mcp` writes: lines that may be JSON-RPC. Nothing is started; what a
 * command would print, and what a job would say, are lines that begin with '=' and '>'.
 */
#include "fuzz.h"
#include "fuzz_store.h"
#include "mcp/rpc.h"
#include "mcp/session.h"

#include <string.h>

static const uint8_t *printed;
static size_t printed_size;

static bool start(struct session *session, struct process *process, const struct words *words,
		  bool has_tether, bool stays)
{
	(void)session;
	(void)has_tether;
	(void)stays;
	fuzz_require(words->count > 0 && *words->list[0] != '-', "a command comes first");
	process->pid = 1;
	return true;
}

static bool start_job(struct session *session, struct job *job, const struct words *words,
		      const char *folder)
{
	(void)session;
	(void)job;
	fuzz_require(!folder || *folder == '/', "a folder is an absolute path");
	fuzz_require(strcmp(words->list[0], "run") == 0, "a job is a run");
	return true;
}

static void end(pid_t keeper)
{
	fuzz_require(keeper > 1, "it is a process");
}

/* Every child ends at once. */
static void end_all(struct session *session)
{
	for (struct pending *pending = session->pending; pending; pending = pending->next) {
		struct process *process = &pending->process;

		if (!process->pid)
			continue;
		process->pid = 0;
		process->has_ended = true;
		process->status = printed_size % 2 ? 75 : 0;
		ga_buffer_append(process->status ? &process->complained : &process->said, printed,
				 printed_size);
		if (process->status)
			ga_buffer_char(&process->complained, '\n');
		pending->tool->finish(session, pending);
		pending->is_answered = true;
	}
	session_sweep(session);
}

static void tell_jobs(struct session *session, const char *text, size_t size)
{
	for (size_t i = 0; i < JOBS_MOST; i++) {
		struct job *job = &session->jobs[i];

		if (!*job->id || job->state == JOB_ENDED)
			continue;
		if (size == 0) {
			job_has_ended(session, job);
			continue;
		}
		log_add(&job->log, text, size);
		job_was_told(session, job, text, size);
	}
}

static void check_output(struct session *session)
{
	char *rest = session->out.data;
	size_t left = session->out.size;

	while (left > 0) {
		char *end = memchr(rest, '\n', left);
		size_t size = end ? (size_t)(end - rest) : left;
		const char *version;
		json_t *message = json_loadb(rest, size, JSON_REJECT_DUPLICATES, NULL);

		fuzz_require(end && json_is_object(message), "each line is a message");
		version = json_string_value(json_object_get(message, "jsonrpc"));
		fuzz_require(version && strcmp(version, "2.0") == 0, "of JSON-RPC");
		fuzz_require(!json_object_get(message, "result") ||
				     !json_object_get(message, "error"),
			     "a result or an error");
		json_decref(message);
		rest = end + 1;
		left -= size + 1;
	}
	session->out.size = 0;
}

static void take(struct session *session, const char *line, size_t size)
{
	if (size > 0 && *line == '=') {
		printed = (const uint8_t *)line + 1;
		printed_size = size - 1;
	} else if (size > 0 && *line == '>') {
		tell_jobs(session, line + 1, size - 1);
	} else {
		session_take(session, line, size);
	}
	end_all(session);
	check_output(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct command command = {.name = "mcp"};
	static struct session session;
	struct call call = {.command = &command};
	const char *at = (const char *)data;

	(void)setenv("GPUALLOC_STATE_DIR", "/nonexistent/store", 1);
	session = (struct session){.call = &call,
				   .start = start,
				   .start_job = start_job,
				   .end = end,
				   .out = GA_BUFFER_INIT((size_t)1 << 28)};
	for (size_t i = 0; i < LEASES_MOST; i++)
		session.leases[i].tether = -1;
	for (size_t i = 0; i < JOBS_MOST; i++)
		session.jobs[i].tether = session.jobs[i].out = -1;
	printed_size = 0;
	while (size > 0 && !session.failed) {
		const char *end = memchr(at, '\n', size);
		size_t length = end ? (size_t)(end - at) : size;

		take(&session, at, length);
		length += end ? 1 : 0;
		at += length;
		size -= length;
	}
	session_free(&session);
	return 0;
}
