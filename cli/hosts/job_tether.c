/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tether of a job; see job.h. A child of its own listens to the client from the first moment,
 * also while this process waits in the queue: it answers pings, and passes on what else is said.
 * When the client is gone, or silent for too long, it ends, and that end is the end of the job.
 */
#include "hosts/job.h"

#include "choose.h"
#include "clock.h"
#include "fence.h"
#include "hosts/job_log.h"
#include "launcher.h"
#include "leasing.h"
#include "message.h"
#include "open.h"
#include "options.h"
#include "owned.h"
#include "run_options.h"
#include "settle.h"
#include "stores.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	STATUS_DATA = 65,
	STATUS_UNAVAILABLE = 69,
	SESSION_MS = 60000, /* how long the session may take to come */
	GRACE_MS = 10000,
	KILLED = 128 + SIGKILL
};

struct job {
	const struct request *request;
	struct call call; /* run, as it would be called here */
	struct chosen chosen;
	gpualloc_store *store;
	gpualloc_lease *lease;
	enum gpualloc_form form;
	bool fenced;
	int64_t limit_ms;
	char *spec;
	char *path;
	char **environment; /* the lease's variables */
	int from_client;    /* lines; its end is that of the client */
	int session;        /* the socket of the session; -1: none */
	int session_pid;
	int session_ended; /* a pidfd; with --keep that of the job itself */
	int kept;          /* with --keep, where its status comes from; else -1 */
};

static void job_free(struct job *job)
{
	gpualloc_lease_free(job->lease);
	gpualloc_store_free(job->store);
	chosen_free(&job->chosen);
	free(job->spec);
	free(job->path);
	free(job->environment);
	ga_close_fd(&job->from_client);
	ga_close_fd(&job->session);
	ga_close_fd(&job->session_ended);
	ga_close_fd(&job->kept);
}

/* ---- what it says ---- */

static bool put(const struct ga_buffer *text)
{
	return !text->failed && write(STDOUT_FILENO, text->data, text->size) == (ssize_t)text->size;
}

static void begin_event(struct ga_json *json, const char *event)
{
	ga_json_open(json, NULL, '{');
	ga_json_number(json, "schema", 1);
	ga_json_text(json, "event", event);
}

/* A line in one write: the listener says pong at the same time. */
static bool end_event(struct ga_json *json)
{
	ga_json_close(json, '}');
	ga_buffer_char(json->out, '\n');
	return put(json->out);
}

static bool say_granted(const struct job *job)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(LINE_MOST), line = GA_BUFFER_OUTPUT;
	struct ga_json json = {.out = &text};

	leasing_line(&line, job->lease);
	begin_event(&json, "granted");
	ga_json_text(&json, "lease", gpualloc_lease_id(job->lease));
	ga_json_text(&json, "words", line.data);
	return end_event(&json);
}

static bool say_ready(const char *token)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(LINE_MOST);
	struct ga_json json = {.out = &text};

	begin_event(&json, "ready");
	ga_json_text(&json, "token", token);
	return end_event(&json);
}

static bool say_ended(int status)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(LINE_MOST);
	struct ga_json json = {.out = &text};

	begin_event(&json, "ended");
	ga_json_number(&json, "status", status);
	return end_event(&json);
}

/* ---- listening ---- */

static bool pass_on(char *line, size_t size, int to)
{
	static const char pong[] = "{\"schema\": 1, \"event\": \"pong\"}\n";

	if (ga_text_equal(line, size, JOB_PING))
		return write(STDOUT_FILENO, pong, sizeof pong - 1) == (ssize_t)sizeof pong - 1;
	line[size] = '\n';
	return write(to, line, size + 1) == (ssize_t)size + 1;
}

/* Passes on the whole lines and moves the rest to the front. */
static bool pass_on_lines(char *text, size_t *size, int to)
{
	char *at = text, *end;

	while ((end = memchr(at, '\n', *size - (size_t)(at - text)))) {
		if (!pass_on(at, (size_t)(end - at), to))
			return false;
		at = end + 1;
	}
	*size -= (size_t)(at - text);
	memmove(text, at, *size);
	return true;
}

static void listen_to_client(unsigned silence_s, int to)
{
	char text[256];
	size_t size = 0;

	for (;;) {
		struct pollfd fd = {STDIN_FILENO, POLLIN, 0};
		int ready = poll(&fd, 1, (int)silence_s * 1000);
		ssize_t got;

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0 || size == sizeof text)
			return;
		got = read(STDIN_FILENO, text + size, sizeof text - size);
		if (got <= 0)
			return;
		size += (size_t)got;
		if (!pass_on_lines(text, &size, to))
			return;
	}
}

static int start_listening(unsigned silence_s, int *ret_from)
{
	pid_t parent = getpid(), pid;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail(STATUS_UNAVAILABLE, "cannot listen: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
			listen_to_client(silence_s, ends[1]);
		_exit(0);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return fail(STATUS_UNAVAILABLE, "cannot listen: %s", strerror(errno));
	}
	*ret_from = ends[0];
	return 0;
}

/* The next line; false at the end. Lines are short and each comes whole. */
static bool hear(const struct job *job, char line[static 256])
{
	for (size_t size = 0; size < 255; size++) {
		ssize_t got;

		do
			got = read(job->from_client, line + size, 1);
		while (got < 0 && errno == EINTR);
		if (got <= 0)
			return false;
		if (line[size] == '\n') {
			line[size] = '\0';
			return true;
		}
	}
	return false;
}

/* ---- reading ---- */

static int read_words(const struct call *outer, struct job *job)
{
	const struct command *command = command_find(outer->commands, job->request->words[0]);
	int result;

	if (!command || strcmp(command->name, "run") != 0)
		return fail(STATUS_DATA, "a job is a run");
	optind = 0;
	result = options_read(command, (int)job->request->word_count, job->request->words,
			      &job->call);
	job->call.commands = outer->commands;
	return result;
}

/* Where the command will run: what it is called is looked up from there. */
static int move_in(const struct request *request)
{
	for (size_t i = 0; i < request->variable_count; i++)
		if (putenv(request->variables[i]) != 0)
			return fail_memory();
	return job_move_in(request);
}

static int find_program(struct job *job)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	int result = gpualloc_program_find(job->call.operands[0], &job->path, error);

	return result < 0 ? fail_error(result, error) : 0;
}

static int read_job(const struct call *outer, struct job *job)
{
	int result = read_words(outer, job);

	if (result == 0)
		result = job_check(&job->call);
	if (result == 0)
		result = move_in(job->request);
	if (result == 0)
		result = form_read(&job->call, &job->form);
	if (result == 0)
		result = fence_check(&job->call, &job->form, &job->fenced);
	if (result == 0)
		result = spec_read(&job->call, &job->spec);
	if (result == 0)
		result = limit_read(&job->call, &job->limit_ms);
	if (result == 0)
		result = check_wait(&job->call);
	if (result == 0)
		result = launcher_check(&job->call);
	if (result == 0)
		result = find_program(job);
	if (result == 0)
		result = request_read(&job->call, &job->chosen);
	return result;
}

/* ---- leasing ---- */

static int take_lease(struct job *job)
{
	int result = store_to_lease(&job->call, &job->store);

	if (result)
		return result;
	return acquire_until(&job->call, job->store, job->chosen.request, job->call.operands,
			     job->from_client, job->request->is_unkept, &job->lease);
}

/* 1 if the client wants it, 0 if it took another host's, or has gone. */
static bool is_wanted(const struct job *job)
{
	char line[256];

	return say_granted(job) && hear(job, line) && strcmp(line, JOB_GO) == 0;
}

static int prepare(struct job *job, int *ret_fd)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	char *nothing[] = {NULL};
	int result = settle(&job->call, job->lease);

	if (result)
		return result;
	result = gpualloc_lease_hand_on(job->lease, ret_fd, error);
	if (result == 0)
		result = gpualloc_lease_environment(job->lease, *ret_fd, job->form, job->spec,
						    nothing, &job->environment, error);
	return result < 0 ? fail_error(result, error) : 0;
}

/* ---- the session ---- */

static bool make_token(char token[static 2 * TOKEN_BYTES + 1])
{
	unsigned char bytes[TOKEN_BYTES];

	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		return false;
	for (size_t i = 0; i < sizeof bytes; i++)
		(void)snprintf(token + 2 * i, 3, "%02x", bytes[i]);
	return true;
}

static int open_door(char token[static 2 * TOKEN_BYTES + 1])
{
	struct sockaddr_un address;
	unsigned size;
	int fd;

	if (!make_token(token) || !job_address(token, &address, &size))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0 && listen(fd, 4) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Waits for the session; strangers who found the door are sent away. */
static bool let_in(struct job *job, int door)
{
	int64_t until = ga_clock_ms() + SESSION_MS, left;

	while (job->session < 0 && (left = until - ga_clock_ms()) > 0) {
		struct pollfd fds[] = {{door, POLLIN, 0}, {job->from_client, POLLIN, 0}};

		if (poll(fds, 2, (int)left) < 0)
			continue;
		/* Before there is a command there is nothing to signal. */
		if (fds[1].revents) {
			char line[256];

			if (!hear(job, line))
				return false;
		}
		if (!fds[0].revents)
			continue;
		job->session = accept4(door, NULL, NULL, SOCK_CLOEXEC);
		if (job->session >= 0 && !job_is_own(job->session, &job->session_pid)) {
			close(job->session);
			job->session = -1;
		}
	}
	if (job->session < 0)
		return false;
	if (job->kept >= 0)
		return true;
	job->session_ended = (int)syscall(SYS_pidfd_open, (pid_t)job->session_pid, 0);
	return job->session_ended >= 0;
}

static bool send_order(const struct job *job, int lease)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS}};
	struct job_order order;
	struct iovec part = {&order, sizeof order};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof control};

	memset(&order, 0, sizeof order);
	order.limit_ms = job->limit_ms;
	order.has_lease = lease >= 0;
	order.fenced = job->fenced && job->kept < 0;
	if (lease < 0) {
		message.msg_control = NULL;
		message.msg_controllen = 0;
	}
	order.quiet = job->call.value[OPTION_QUIET] != NULL;
	order.json = job->call.value[OPTION_JSON] != NULL;
	memcpy(CMSG_DATA(&control.header), &lease, sizeof lease);
	return sendmsg(job->session, &message, MSG_NOSIGNAL) == (ssize_t)sizeof order;
}

/* The command itself: its words, the variables asked for, and the lease's. */
static bool send_command(const struct job *job, char *const *command)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(REQUEST_MOST + 64);
	ga_auto_free char **variables = NULL, **words = NULL;
	struct request request = *job->request;
	size_t count = job->request->variable_count, at = 0;

	while (job->environment[at])
		at++;
	request.word_count = 0;
	while (command[request.word_count])
		request.word_count++;
	variables = calloc(count + at + 1, sizeof *variables);
	words = calloc(request.word_count + 1, sizeof *words);
	if (!variables || !words)
		return false;
	memcpy(words, command, request.word_count * sizeof *words);
	for (size_t i = 0; i < count; i++)
		variables[i] = job->request->variables[i];
	for (size_t i = 0; i < at; i++)
		variables[count + i] = job->environment[i];
	request.variables = variables;
	request.variable_count = count + at;
	request.words = words;
	request_write(&text, &request);
	for (size_t sent = 0; !text.failed && sent < text.size;) {
		ssize_t put_now =
			send(job->session, text.data + sent, text.size - sent, MSG_NOSIGNAL);

		if (put_now <= 0)
			return false;
		sent += (size_t)put_now;
	}
	return !text.failed;
}

static int signal_session(const struct job *job, int number)
{
	return (int)syscall(SYS_pidfd_send_signal, job->session_ended, number, NULL, 0);
}

/* Only the signals that somebody could have sent to the command itself. */
static void obey(const struct job *job, const char *line)
{
	static const int able[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
	int64_t number;

	if (!ga_text_starts(line, JOB_SIGNAL))
		return;
	line += strlen(JOB_SIGNAL);
	if (!ga_text_number(line, strlen(line), 64, &number))
		return;
	for (size_t i = 0; i < sizeof able / sizeof *able; i++)
		if (able[i] == (int)number)
			(void)signal_session(job, able[i]);
}

/* ---- the end ---- */

/* Ends what still has the lease: SIGTERM, SIGKILL 10 s later. This process has let go of it. */
static void end_holders(struct job *job)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	gpualloc_holders *holders = NULL;
	ga_auto_free char *id = strdup(gpualloc_lease_id(job->lease));

	gpualloc_lease_free(job->lease);
	job->lease = NULL;
	if (id && gpualloc_holders_read(job->store, id, &holders, error) == 0)
		(void)gpualloc_holders_end(holders, 0, GRACE_MS, error);
	gpualloc_holders_free(holders);
}

/* The status that comes from the session, or from a job that is kept; -1 if the client has gone,
 * KILLED if what should have said it died. */
static int follow(const struct job *job, int from)
{
	for (;;) {
		struct pollfd fds[] = {{from, POLLIN, 0}, {job->from_client, POLLIN, 0}};
		char line[256];
		int status;

		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents)
			return read(from, &status, sizeof status) == (ssize_t)sizeof status
				       ? status & 0xff
				       : KILLED;
		if (!fds[1].revents)
			continue;
		if (!hear(job, line))
			return -1;
		obey(job, line);
	}
}

/* ---- without the connection ---- */

/* The session still shows the end of the log, and would end with this process. */
static void wait_for_session(const struct job *job)
{
	struct pollfd fds[] = {{job->session, POLLIN, 0}, {job->from_client, POLLIN, 0}};
	char line[256];

	while (!fds[0].revents) {
		if (poll(fds, 2, -1) > 0 && fds[1].revents && !hear(job, line))
			return;
	}
}

/* The session shows the log. From here on the lease is the job's alone. */
static int keep_job(struct job *job, int lease)
{
	ga_auto_free char *id = strdup(gpualloc_lease_id(job->lease));
	char program[] = "/proc/self/exe", log[] = "log", quiet[] = "--quiet", more[] = "--follow";
	char *show[] = {program, log, quiet, more, id, NULL};
	struct kept_job kept = {.lease = id,
				.path = job->path,
				.words = job->call.operands,
				.variables = job->environment,
				.limit_ms = job->limit_ms,
				.fenced = job->fenced ? &job->call : NULL};
	char token[2 * TOKEN_BYTES + 1];
	ga_auto_close int door = id ? open_door(token) : -1;
	int pid, status, result;

	if (door < 0)
		return fail(STATUS_UNAVAILABLE, "cannot make a socket: %s", strerror(errno));
	result = job_log_start(&kept, lease, &job->kept, &pid);
	if (result)
		return result;
	gpualloc_lease_free(job->lease);
	job->lease = NULL;
	job->session_ended = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	job->limit_ms = 0;
	if (!say_ready(token) || !let_in(job, door) || !send_order(job, -1) ||
	    !send_command(job, show))
		return STATUS_UNAVAILABLE;
	status = follow(job, job->kept);
	if (status < 0)
		return 0;
	(void)say_ended(status);
	wait_for_session(job);
	return 0;
}

static int run_job(struct job *job)
{
	char token[2 * TOKEN_BYTES + 1];
	int lease, status, result = prepare(job, &lease);
	ga_auto_close int door = result ? -1 : open_door(token);

	if (result)
		return result;
	if (job->request->outlives)
		return keep_job(job, lease);
	if (door < 0)
		return fail(STATUS_UNAVAILABLE, "cannot make a socket: %s", strerror(errno));
	if (!say_ready(token) || !let_in(job, door) || !send_order(job, lease) ||
	    !send_command(job, job->call.operands))
		return STATUS_UNAVAILABLE;
	status = follow(job, job->session);
	if (status < 0 || status == KILLED)
		end_holders(job);
	else
		(void)gpualloc_lease_release(job->lease, NULL);
	if (status >= 0)
		(void)say_ended(status);
	return 0;
}

int job_tether(const struct call *call, const struct request *request)
{
	ga_cleanup(job_free) struct job job = {.request = request,
					       .from_client = -1,
					       .session = -1,
					       .session_ended = -1,
					       .kept = -1};
	int result;

	/* A client that has gone is seen by the listener, not by a signal. */
	(void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
	result = start_listening(request->silence_s, &job.from_client);
	if (result == 0)
		result = read_job(call, &job);
	if (result == 0)
		result = take_lease(&job);
	if (result == 0 && is_wanted(&job))
		result = run_job(&job);
	if (job.lease)
		(void)gpualloc_lease_release(job.lease, NULL);
	return result;
}
