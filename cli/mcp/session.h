/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session of `gpualloc mcp`: one client, what it has asked, and what it has. The work is done by
 * children that are gpualloc itself, so nothing here waits for a driver or for a device, and the
 * rules are those of the commands. Leases are held by keepers and jobs by minders: each has one end
 * of a tether whose other end only this process has. However it ends, the kernel closes that end.
 */
#ifndef CLI_MCP_SESSION_H
#define CLI_MCP_SESSION_H

#include "buffer.h"
#include "command.h"
#include "mcp/fields.h"
#include "mcp/log.h"

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

/* More than these are refused with a sentence. */
enum {
	PENDING_MOST = 32, /* calls that are not answered yet */
	CALLERS_MOST = 8,  /* calls that wait for one answer, by their idempotency key */
	LEASES_MOST = 64,
	JOBS_MOST = 32, /* of which so many may run */
	RUNNING_MOST = 16,
	KEYS_MOST = 256,
	LEASE_ID_SIZE = 24,
	AGENT_SIZE = 65,
};

/* A child that answers on stdout, or with an error on stderr, and ends. */
struct process {
	pid_t pid; /* 0: none */
	int out, err;
	int tether; /* -1: none */
	struct ga_buffer said, complained;
	size_t looked_at; /* of complained */
	bool has_ended;
	int status;
};

struct session;
struct pending;

struct lease {
	char id[LEASE_ID_SIZE]; /* "": no lease */
	int tether;             /* readable once it has ended; -1: it was kept */
	bool is_kept;
	int64_t until; /* seconds since 1970 */
};

enum job_state { JOB_WAITING, JOB_RUNNING, JOB_ENDED };

struct job {
	char id[LEASE_ID_SIZE]; /* "": no job */
	enum job_state state;
	bool is_cancelled;
	pid_t minder; /* 0: waited for */
	int tether, out;
	char lease[LEASE_ID_SIZE];
	json_t *devices; /* their ids; NULL: not known */
	char *command;
	int64_t started, ended, until; /* seconds since 1970 */
	int exit_status, signal;       /* -1: none */
	struct log log;
	struct ga_buffer complained; /* what is said of it before it runs */
	size_t looked_at;
};

/* Who is to be answered. */
struct caller {
	json_t *id;
	json_t *token; /* for progress; NULL: none */
	const char *version;
};

struct tool {
	const char *name, *title, *description;
	const struct field *fields;
	const char *output; /* the schema of what is answered, as JSON */
	bool reads_only, is_destructive, is_idempotent;
	/* Answers, or leaves that to finish(). */
	void (*begin)(struct session *session, struct pending *pending);
	/* Its child, its lease or its job has ended or, for a job, started. */
	void (*finish)(struct session *session, struct pending *pending);
};

/* A call that is not answered yet. */
struct pending {
	struct pending *next;
	const struct tool *tool;
	json_t *arguments;
	const char *key; /* in arguments; NULL: none */
	struct caller callers[CALLERS_MOST];
	size_t caller_count;
	struct process process;
	struct lease *lease; /* whose end it waits for */
	struct job *job;     /* whose start it waits for */
	int64_t for_ms;
	int64_t since, told_at; /* by ga_clock_ms() */
	int64_t progress;
	bool is_answered; /* it is freed when nothing of it runs */
};

/* An idempotency key and what was got by it. */
struct key {
	char *name, *arguments;
	const struct tool *tool;
	struct lease *lease; /* NULL, or what … */
	struct job *job;
	json_t *answer; /* … was answered, and its words */
	char *text;
};

struct session {
	const struct call *call;
	const char *version; /* NULL: no handshake yet */
	char agent[AGENT_SIZE];
	struct ga_buffer out; /* to the client */
	struct pending *pending;
	size_t pending_count;
	struct lease leases[LEASES_MOST];
	struct job jobs[JOBS_MOST];
	struct key keys[KEYS_MOST];
	size_t key_count;
	unsigned job_number;
	bool failed; /* out of memory, or the client does not read */
	/* Starts gpualloc with these words. */
	bool (*start)(struct session *session, struct process *process, const struct words *words,
		      bool has_tether, bool stays);
	/* Ends a keeper that a child has just told of. */
	void (*end)(pid_t keeper);
	bool (*start_job)(struct session *session, struct job *job, const struct words *words,
			  const char *folder);
};

/* ---- protocol.c: what the client says ---- */

void session_take(struct session *session, const char *line, size_t size);
/* A line that was too long to read. */
void session_take_too_long(struct session *session);
void session_send(struct session *session, json_t *message);
/* A result in the form of that version of the protocol. Both results are taken over. */
void session_send_result(struct session *session, json_t *id, const char *version, json_t *result);
/* Frees the calls that are answered and of which nothing runs. */
void session_sweep(struct session *session);
void session_free(struct session *session);

/* ---- answer.c: what it is told ---- */

/* structured and the words are taken over or copied; then the call is over. */
void answer(struct session *session, struct pending *pending, json_t *structured, const char *text);
/* The call failed, with these words and what programs can read of it (NULL: no more). */
void refuse(struct session *session, struct pending *pending, json_t *error, const char *format,
	    ...) __attribute__((format(printf, 4, 5)));
/* The same from what a command wrote to stderr, and its exit status. */
void refuse_as(struct session *session, struct pending *pending, const char *complained,
	       size_t size, int status);
/* Tells those who want to know how far it is. */
void answer_progress(struct session *session, struct pending *pending, const char *message);
/* Passes on what a child says while it waits; *looked_at is what was passed on before. */
void answer_notes(struct session *session, struct pending *pending, const char *said, size_t size,
		  size_t *looked_at);
/* "10:42" */
void answer_add_time(struct ga_buffer *text, int64_t seconds);
/* What a command printed, which the caller frees; NULL if it is no document. */
json_t *answer_document(const struct process *process);

/* ---- keys.c: a call that is repeated is not done twice ---- */

/* Whether the call is answered by what an earlier one with its key got, or waits for that. */
bool keys_repeat(struct session *session, struct pending *pending);
/* Remembers what was got. False if there is no room: then nothing may be got. */
bool keys_have_room(const struct session *session);
void keys_remember(struct session *session, const struct pending *pending, struct lease *lease,
		   struct job *job, json_t *structured, const char *text);
void keys_free(struct session *session);
void keys_forget(struct session *session, const struct lease *lease, const struct job *job);

/* ---- tools.c, lease_tools.c, job_tools.c ---- */

extern const struct tool *const tools[]; /* NULL after the last */
extern const struct tool tool_list_gpus, tool_explain, tool_usage;
extern const struct tool tool_lease, tool_extend, tool_release;
extern const struct tool tool_run, tool_job_status, tool_job_log, tool_job_cancel;

/* The options of choice, for the tables of tools that choose. */
/* clang-format off */
#define FIELDS_OF_CHOICE \
	{"count", FIELD_NUMBER, false, "--count", "how many devices; default 1"}, \
	{"memory", FIELD_TEXT, false, "--memory", "each must have this much free: \"8GiB\""}, \
	{"share", FIELD_FLAG, false, "--share", "with memory: take only that much of each"}, \
	{"mig", FIELD_TEXT, false, "--mig", "MIG instances of this profile: \"1g.5gb\""}, \
	{"model", FIELD_TEXT, false, "--model", "only GPUs whose name contains this"}, \
	{"only", FIELD_TEXT, false, "--only", "choose from these: \"0-3,6\", UUIDs"}, \
	{"exclude", FIELD_TEXT, false, "--exclude", "never these"}, \
	{"policy", FIELD_TEXT, false, "--policy", "how to choose; default balanced"}
#define FIELD_KEY \
	{"idempotency_key", FIELD_TEXT, false, NULL, \
	 "any text of yours; repeating the call with it does not do it twice"}
/* clang-format on */

/* Starts the command for a call, or refuses it. */
void begin_command(struct session *session, struct pending *pending, struct words *words,
		   bool has_tether, bool stays);
/* Adds --machine if the server was started with it. */
void add_machine_option(const struct session *session, struct words *words);
/* A duration among the arguments; refuses the call and returns false if it is none. */
bool read_for(struct session *session, struct pending *pending, const char *name, int64_t *ret_ms);

/* Nobody waits for it any more. */
void pending_give_up(struct session *session, struct pending *pending);

struct lease *lease_by_id(struct session *session, const char *id);
void lease_has_ended(struct session *session, struct lease *lease);
/* Looks for one that was kept, of whose end nobody tells. */
void lease_look_for(struct session *session, struct lease *lease);

/* What a job says through its tether, and its end. */
void job_was_told(struct session *session, struct job *job, const char *text, size_t size);
void job_has_ended(struct session *session, struct job *job);
/* Answers with how the job is now. */
void job_answer(struct session *session, struct pending *pending, const struct job *job);

/* ---- the loop ---- */

/* Until the client goes. Returns the exit status. */
int serve(const struct call *call);

#endif
