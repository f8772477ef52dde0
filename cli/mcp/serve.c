/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop of `gpualloc mcp`: one thread that sleeps until somebody says something: the client, a
 * child, a keeper, a minder. It never waits for any one of them. When the client has gone it ends,
 * and with it everything that it holds the other end of.
 */
#include "clock.h"
#include "mcp/rpc.h"
#include "mcp/session.h"
#include "mcp/start.h"
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	OUT_MOST = 32 << 20,    /* a client that does not read so much is gone */
	OUT_PATIENCE = 1 << 20, /* nothing is read from a client that has so much to read */
	PART = 1 << 16,
	PIPE_PART = 4096,   /* what a pipe takes without blocking when it takes anything */
	TELL_MS = 5000,     /* so often those who wait are told that they wait */
	KEEPER_MS = 15000,  /* a keeper that does not let go for so long is stopped */
	GOODBYE_MS = 10000, /* questions that are not answered yet have so long */
	POLLED_MOST = 4 + 2 * PENDING_MOST + 2 + LEASES_MOST + 2 * JOBS_MOST,
};

struct server {
	struct session session;
	struct ga_buffer in; /* what is not a whole line yet */
	bool skips;          /* the rest of a line that is too long */
	bool has_no_client;  /* it says no more */
	bool is_over;
	int64_t goodbye;
	int signals;
	sigset_t before;
	struct pollfd polled[POLLED_MOST];
	nfds_t polled_count;
};

/* Where the session's children are started. */
static struct server *server_of(struct session *session)
{
	return (struct server *)(void *)((char *)session - offsetof(struct server, session));
}

static bool start_for(struct session *session, struct process *process, const struct words *words,
		      bool has_tether, bool stays)
{
	const struct starter starter = {session->agent, &server_of(session)->before};

	return start_process(&starter, process, words, has_tether, stays);
}

static bool start_job_for(struct session *session, struct job *job, const struct words *words,
			  const char *folder)
{
	const struct starter starter = {session->agent, &server_of(session)->before};

	return start_minder(&starter, job, words, folder);
}

static void end(pid_t keeper)
{
	(void)kill(keeper, SIGTERM);
}

/* ---- the client ---- */

/* The whole lines of what has come. */
static void take_lines(struct server *server)
{
	char *start = server->in.data, *end;
	size_t left = server->in.size;

	while (left > 0 && (end = memchr(start, '\n', left))) {
		size_t size = (size_t)(end - start);

		if (server->skips)
			server->skips = false;
		else
			session_take(&server->session, start, size);
		left -= size + 1;
		start = end + 1;
	}
	if (left > 0)
		memmove(server->in.data, start, left);
	server->in.size = left;
	if (left <= RPC_LINE_MOST)
		return;
	if (!server->skips)
		session_take_too_long(&server->session);
	server->skips = true;
	server->in.size = 0;
}

static void client_has_gone(struct server *server)
{
	server->has_no_client = true;
	server->goodbye = ga_clock_ms() + GOODBYE_MS;
}

static void read_client(struct server *server)
{
	char *room = ga_buffer_room(&server->in, PART);
	ssize_t size = room ? read(STDIN_FILENO, room, PART) : -1;

	if (size < 0 && (errno == EINTR || errno == EAGAIN) && room)
		return;
	if (size <= 0) {
		client_has_gone(server);
		return;
	}
	ga_buffer_grew(&server->in, (size_t)size);
	take_lines(server);
}

/* Standard output is the client's, and may be a file or a terminal: it stays blocking. */
static void write_client(struct server *server)
{
	struct ga_buffer *out = &server->session.out;
	size_t part = out->size < PIPE_PART ? out->size : PIPE_PART;
	ssize_t size = send(STDOUT_FILENO, out->data, part, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (size < 0 && errno == ENOTSOCK)
		size = write(STDOUT_FILENO, out->data, part);
	if (size < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (size < 0) {
		server->is_over = true;
		return;
	}
	out->size -= (size_t)size;
	memmove(out->data, out->data + size, out->size);
}

/* ---- children ---- */

/* Reads what is there; false at its end. */
static bool read_part(int fd, char *part, size_t size, ssize_t *ret_size)
{
	do
		*ret_size = read(fd, part, size);
	while (*ret_size < 0 && errno == EINTR);
	return *ret_size > 0 || (*ret_size < 0 && errno == EAGAIN);
}

static void read_into(struct ga_buffer *text, int *fd)
{
	char part[PART];
	ssize_t size = 1;

	while (*fd >= 0 && size > 0) {
		if (!read_part(*fd, part, sizeof part, &size)) {
			close(*fd);
			*fd = -1;
		} else if (size > 0) {
			ga_buffer_append(text, part, (size_t)size);
		}
	}
}

static void process_has_ended(struct session *session, struct pending *pending)
{
	struct process *process = &pending->process;

	read_into(&process->said, &process->out);
	read_into(&process->complained, &process->err);
	ga_close_and_forget(&process->out);
	ga_close_and_forget(&process->err);
	process->pid = 0;
	process->has_ended = true;
	if (pending->tool->finish)
		pending->tool->finish(session, pending);
	ga_close_and_forget(&process->tether);
	pending->is_answered = true;
}

/* A part at a time, so that a job that prints without end holds up nobody. */
static void read_job(struct job *job)
{
	char part[PART];
	ssize_t size;

	if (!read_part(job->out, part, sizeof part, &size))
		ga_close_and_forget(&job->out);
	else if (size > 0)
		log_add(&job->log, part, (size_t)size);
}

static void hear_job(struct session *session, struct job *job)
{
	char text[PART];
	ssize_t size = recv(job->tether, text, sizeof text, MSG_DONTWAIT);

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size > 0) {
		job_was_told(session, job, text, (size_t)size);
		return;
	}
	/* Nothing of it runs any more: what is in the pipe is the last. */
	for (int i = 0; i < LOG_MOST / PART && job->out >= 0; i++)
		read_job(job);
	ga_close_and_forget(&job->out);
	job_has_ended(session, job);
}

static void reap(struct session *session)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (size_t i = 0; i < JOBS_MOST; i++)
			if (session->jobs[i].minder == pid)
				session->jobs[i].minder = 0;
		for (struct pending *pending = session->pending; pending; pending = pending->next) {
			if (pending->process.pid != pid)
				continue;
			pending->process.status =
				WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			process_has_ended(session, pending);
		}
	}
}

/* ---- time ---- */

static void tell_waiting(struct session *session, struct pending *pending, int64_t now)
{
	char words[64];

	if (pending->is_answered || now - pending->told_at < TELL_MS)
		return;
	(void)snprintf(words, sizeof words, "still waiting after %lld s",
		       (long long)(now - pending->since) / 1000);
	answer_progress(session, pending, words);
	if (pending->lease && now - pending->since >= KEEPER_MS) {
		pending->lease = NULL;
		refuse(session, pending, NULL,
		       "the process gpualloc-hold of this lease does not let go; was it stopped?");
	}
}

/* ---- one round ---- */

static void poll_also(struct server *server, int fd, short events)
{
	server->polled[server->polled_count++] = (struct pollfd){.fd = fd, .events = events};
}

static void poll_all(struct server *server)
{
	struct session *session = &server->session;
	bool may_read = !server->has_no_client && session->out.size < OUT_PATIENCE;

	server->polled_count = 0;
	poll_also(server, may_read ? STDIN_FILENO : -1, POLLIN);
	/* With nothing to write, only its end is of interest. */
	poll_also(server, STDOUT_FILENO, session->out.size > 0 ? POLLOUT : 0);
	poll_also(server, server->signals, POLLIN);
	for (struct pending *pending = session->pending; pending; pending = pending->next) {
		if (server->polled_count + 2 > POLLED_MOST - LEASES_MOST - 2 * JOBS_MOST)
			break;
		poll_also(server, pending->process.out, POLLIN);
		poll_also(server, pending->process.err, POLLIN);
	}
	for (size_t i = 0; i < LEASES_MOST; i++)
		if (*session->leases[i].id && session->leases[i].tether >= 0)
			poll_also(server, session->leases[i].tether, POLLIN);
	for (size_t i = 0; i < JOBS_MOST; i++)
		if (*session->jobs[i].id) {
			poll_also(server, session->jobs[i].out, POLLIN);
			poll_also(server, session->jobs[i].tether, POLLIN);
		}
}

static short events_of(const struct server *server, int fd)
{
	for (nfds_t i = 0; fd >= 0 && i < server->polled_count; i++)
		if (server->polled[i].fd == fd)
			return server->polled[i].revents;
	return 0;
}

static void hear_children(struct server *server)
{
	struct session *session = &server->session;

	for (struct pending *pending = session->pending; pending; pending = pending->next) {
		struct process *process = &pending->process;

		if (events_of(server, process->out))
			read_into(&process->said, &process->out);
		if (events_of(server, process->err)) {
			read_into(&process->complained, &process->err);
			answer_notes(session, pending, process->complained.data,
				     process->complained.size, &process->looked_at);
		}
	}
	for (size_t i = 0; i < LEASES_MOST; i++) {
		struct lease *lease = &session->leases[i];
		char word;

		/* A keeper says nothing: it can be read when its end is closed. */
		if (*lease->id && events_of(server, lease->tether) &&
		    recv(lease->tether, &word, 1, MSG_DONTWAIT) == 0)
			lease_has_ended(session, lease);
	}
	for (size_t i = 0; i < JOBS_MOST; i++) {
		struct job *job = &session->jobs[i];

		if (*job->id && events_of(server, job->out))
			read_job(job);
		if (*job->id && events_of(server, job->tether))
			hear_job(session, job);
	}
}

static void hear_signals(struct server *server)
{
	struct signalfd_siginfo info;

	while (read(server->signals, &info, sizeof info) == (ssize_t)sizeof info)
		if (info.ssi_signo != SIGCHLD)
			server->is_over = true;
	reap(&server->session);
}

/*
 * A client that closes its end and still reads gets the answers to questions; what it would hold,
 * or holds, is over.
 */
static bool has_goodbye_to_say(const struct server *server)
{
	const struct session *session = &server->session;

	if (ga_clock_ms() >= server->goodbye)
		return false;
	for (const struct pending *pending = session->pending; pending; pending = pending->next)
		if (!pending->is_answered && pending->tool->reads_only)
			return true;
	return session->out.size > 0;
}

static int patience_of(const struct server *server)
{
	int64_t left = server->goodbye - ga_clock_ms();

	if (server->has_no_client)
		return left < 0 ? 0 : (int)left;
	return server->session.pending ? TELL_MS / 5 : -1;
}

static void give_up_all(struct session *session)
{
	for (size_t i = 0; i < LEASES_MOST; i++)
		ga_close_and_forget(&session->leases[i].tether);
	for (size_t i = 0; i < JOBS_MOST; i++)
		ga_close_and_forget(&session->jobs[i].tether);
	for (struct pending *pending = session->pending; pending; pending = pending->next)
		if (!pending->tool->reads_only)
			pending_give_up(session, pending);
}

static void do_round(struct server *server)
{
	struct session *session = &server->session;
	bool had_client = !server->has_no_client;
	int64_t now;

	poll_all(server);
	if (poll(server->polled, server->polled_count, patience_of(server)) < 0 && errno != EINTR)
		server->is_over = true;
	if (server->polled[1].revents & (POLLERR | POLLHUP | POLLNVAL))
		server->is_over = true;
	else if (server->polled[1].revents & POLLOUT)
		write_client(server);
	hear_children(server);
	if (server->polled[2].revents)
		hear_signals(server);
	if (server->polled[0].revents)
		read_client(server);
	if (had_client && server->has_no_client)
		give_up_all(session);
	now = ga_clock_ms();
	for (struct pending *pending = session->pending; pending; pending = pending->next)
		tell_waiting(session, pending, now);
	session_sweep(session);
}

static int begin(struct server *server, const struct call *call)
{
	sigset_t taken;

	server->session.call = call;
	server->session.start = start_for;
	server->session.start_job = start_job_for;
	server->session.end = end;
	server->session.out = GA_BUFFER_INIT(OUT_MOST);
	server->in = GA_BUFFER_INIT(RPC_LINE_MOST + 2 * PART);
	(void)snprintf(server->session.agent, sizeof server->session.agent, "mcp");
	for (size_t i = 0; i < LEASES_MOST; i++)
		server->session.leases[i].tether = -1;
	for (size_t i = 0; i < JOBS_MOST; i++)
		server->session.jobs[i].tether = server->session.jobs[i].out = -1;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&taken);
	(void)sigaddset(&taken, SIGCHLD);
	(void)sigaddset(&taken, SIGHUP);
	(void)sigaddset(&taken, SIGINT);
	(void)sigaddset(&taken, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &taken, &server->before);
	server->signals = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
	return server->signals < 0 ? fail(gpualloc_exit_status(GPUALLOC_EIO),
					  "cannot take signals: %s", strerror(errno))
				   : 0;
}

int serve(const struct call *call)
{
	static struct server server; /* too large for a stack */
	int result = begin(&server, call);

	if (result)
		return result;
	while (!server.is_over && !server.session.failed &&
	       (!server.has_no_client || has_goodbye_to_say(&server)))
		do_round(&server);
	if (server.session.failed)
		result = fail(STATUS_MEMORY, "out of memory, or the client does not read what it "
					     "asked for");
	session_free(&server.session);
	ga_buffer_free(&server.in);
	close(server.signals);
	return result;
}
