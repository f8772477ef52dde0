/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `run --on`; see run.h. First every host is asked what it could give now, and the best is taken.
 * If none can, and the user waits, there is a ticket at each; the first that grants gets the word
 * to go on, and the others hear that the connection has ended, which gives back what they may have
 * granted in that moment. Nothing is ever held at one host while this waits for another.
 */
#include "hosts/run.h"

#include "clock.h"
#include "hosts/job.h"
#include "hosts/offers.h"
#include "hosts/on.h"
#include "message.h"
#include "options.h"
#include "terminal.h"
#include "text.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

enum {
	STATUS_UNAVAILABLE = 69,
	LINGER_MS = 10000, /* how long one of two sessions may outlive the other */
	HOSTS_MOST_AT_ONCE = 256
};

/* Where the sockets of the connections are, while there are any. */
struct place {
	char path[SOCKETS_PATH];
	size_t count;
};

/* The same job: without waiting, in the queue, and in the queue with nothing kept for it. */
enum manner { NOW, WAITING, UNKEPT, REQUESTS };

struct running {
	const struct call *call;
	char *ssh;
	struct ga_buffer requests[REQUESTS];
	struct place place;
	sigset_t before; /* the signals that were blocked */
	int signals;
	bool is_only;    /* no other host is asked */
	bool is_settled; /* something ran, or why nothing did has been said */
};

/* ---- the place for sockets ---- */

static void remove_place(const struct place *place)
{
	char path[108];

	for (size_t i = 0; i < place->count; i++) {
		(void)snprintf(path, sizeof path, "%s/%zu", place->path, i);
		(void)unlink(path);
	}
	if (*place->path)
		(void)rmdir(place->path);
}

/* ---- beginning and end ---- */

static void running_free(struct running *running)
{
	remove_place(&running->place);
	free(running->ssh);
	for (int i = 0; i < REQUESTS; i++)
		ga_buffer_free(&running->requests[i]);
	ga_close_fd(&running->signals);
}

/* --env NAME has the value from here; one that is not set here is not set there. */
static int read_variables(const struct call *call, struct request *request, struct ga_buffer *text)
{
	size_t count = 0;

	request->variables = calloc(call->env_count + 1, sizeof *request->variables);
	if (!request->variables)
		return fail_memory();
	for (size_t i = 0; i < call->env_count; i++) {
		const char *word = call->env[i], *value = strchr(word, '=') ? "" : getenv(word);

		if (*word == '=' || !*word)
			return fail_usage(call->command, "--env %s: give NAME, or NAME=VALUE",
					  word);
		if (!value)
			continue;
		ga_buffer_format(text, "%s%s%s", word, strchr(word, '=') ? "" : "=", value);
		ga_buffer_char(text, '\0');
		count++;
	}
	if (text->failed)
		return fail_memory();
	for (char *at = text->data; request->variable_count < count; at += strlen(at) + 1)
		request->variables[request->variable_count++] = at;
	return 0;
}

static int make_request(struct running *running, enum manner manner, struct request *request)
{
	static const char *const json[] = {"--json", NULL};
	struct call call = *running->call;
	char here[4096];

	if (manner == NOW)
		call.value[OPTION_WAIT] = NULL;
	request->words = on_words(&call, call.value[OPTION_JSON] ? json : NULL);
	if (!request->words)
		return fail_memory();
	request->word_count = 0;
	while (request->words[request->word_count])
		request->word_count++;
	request->mode = REQUEST_JOB;
	request->agent = getenv("GPUALLOC_AGENT");
	request->outlives = call.value[OPTION_KEEP] != NULL;
	request->is_unkept = manner == UNKEPT;
	request->must_exist = call.value[OPTION_CHDIR] != NULL;
	request->folder =
		request->must_exist ? call.value[OPTION_CHDIR] : getcwd(here, sizeof here);
	running->requests[manner] = GA_BUFFER_INIT(REQUEST_MOST + 64);
	request_write(&running->requests[manner], request);
	free(request->words);
	request->words = NULL;
	request->folder = NULL;
	if (!running->requests[manner].failed)
		return 0;
	return fail_usage(call.command,
			  "the command and its variables are more than %d MiB, too much for --on",
			  REQUEST_MOST >> 20);
}

static int make_requests(const struct call *call, struct running *running)
{
	ga_auto_buffer struct ga_buffer variables = GA_BUFFER_INIT(REQUEST_MOST);
	struct request request = {0};
	int result = read_variables(call, &request, &variables);

	for (int manner = 0; result == 0 && manner < REQUESTS; manner++)
		result = make_request(running, (enum manner)manner, &request);
	request_free(&request);
	return result;
}

/* Those that a command might be sent come to this process, which passes them on. */
static int take_signals(struct running *running)
{
	static const int ours[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
	sigset_t taken;

	(void)sigemptyset(&taken);
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
		struct sigaction action;

		if (sigaction(ours[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			(void)sigaddset(&taken, ours[i]);
	}
	(void)sigprocmask(SIG_BLOCK, &taken, &running->before);
	(void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
	running->signals = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
	return running->signals >= 0
		       ? 0
		       : fail(STATUS_OUTPUT, "cannot take signals: %s", strerror(errno));
}

/* 0 if there was none. */
static int take_signal(const struct running *running)
{
	struct signalfd_siginfo info;

	return read(running->signals, &info, sizeof info) == (ssize_t)sizeof info
		       ? (int)info.ssi_signo
		       : 0;
}

/* ---- the contest ---- */

struct contest {
	struct contender list[HOSTS_MOST_AT_ONCE];
	size_t count;
};

static int enter(struct running *running, struct contest *contest, const struct host *host,
		 enum manner manner)
{
	struct contender *contender = &contest->list[contest->count];
	int reason;

	*contender = (struct contender){.host = host, .in = -1, .out = -1, .err = -1, .ended = -1};
	/* Somebody who logs in with a code has a connection open, and could not open another. */
	if (!ssh_has_master(running->ssh, host))
		(void)snprintf(contender->control, sizeof contender->control, "%s/%zu",
			       running->place.path, running->place.count++);
	reason = contender_start(contender, running->ssh, &running->requests[manner]);
	if (reason) {
		contender_drop(contender);
		say("%s: cannot start ssh: %s", host->name, strerror(reason));
		return STATUS_UNAVAILABLE;
	}
	contest->count++;
	return 0;
}

static void drop_all_but(struct contest *contest, const struct contender *winner)
{
	/* All of them hear it at once. */
	for (size_t i = 0; i < contest->count; i++)
		if (&contest->list[i] != winner)
			contender_hang_up(&contest->list[i]);
	for (size_t i = 0; i < contest->count; i++)
		if (&contest->list[i] != winner)
			contender_drop(&contest->list[i]);
}

static void ping_all(const struct contest *contest, int64_t *next_ping)
{
	if (ga_clock_ms() < *next_ping)
		return;
	for (size_t i = 0; i < contest->count; i++)
		contender_say(&contest->list[i], JOB_PING);
	*next_ping = ga_clock_ms() + PING_MS;
}

/* What a contender that is gone leaves to say, and its status. */
static int lose(struct running *running, const struct contender *contender,
		const struct contender_news *news)
{
	if (*news->words && running->is_only) {
		running->is_settled = true;
		return fail(news->value, "%s: %s", contender->host->name, news->words);
	}
	if (*news->words)
		say("%s: %s", contender->host->name, news->words);
	return news->value;
}

/* Waits for something to happen, at most until the next ping. */
static void wait_for_news(const struct running *running, const struct contest *contest,
			  struct pollfd *fds, int64_t next_ping)
{
	int64_t left = next_ping - ga_clock_ms();

	for (size_t i = 0; i < contest->count; i++)
		contender_watch(&contest->list[i], &fds[CONTENDER_FDS * i]);
	fds[CONTENDER_FDS * contest->count] = (struct pollfd){running->signals, POLLIN, 0};
	(void)poll(fds, CONTENDER_FDS * contest->count + 1, left > 0 ? (int)left : 0);
}

/*
 * The first that is granted devices; NULL with a status when none can be. A signal ends it, as it
 * ends `run --wait`: *ret_signal.
 */
static struct contender *first_granted(struct running *running, struct contest *contest,
				       int *ret_status, int *ret_signal)
{
	ga_auto_free struct pollfd *fds = calloc(CONTENDER_FDS * contest->count + 1, sizeof *fds);
	int64_t next_ping = ga_clock_ms() + PING_MS;
	size_t left = contest->count;

	*ret_signal = 0;
	*ret_status = fds ? STATUS_UNAVAILABLE : STATUS_MEMORY;
	while (fds && left > 0) {
		wait_for_news(running, contest, fds, next_ping);
		*ret_signal = take_signal(running);
		if (*ret_signal)
			return NULL;
		for (size_t i = 0; i < contest->count; i++) {
			struct contender_news news;

			contender_hear(&contest->list[i], &news);
			if (news.event == CONTENDER_GRANTED) {
				if (isatty(STDERR_FILENO) == 1 &&
				    !running->call->value[OPTION_QUIET])
					say("%s: %s", contest->list[i].host->name, news.words);
				return &contest->list[i];
			}
			if (news.event == CONTENDER_GONE) {
				*ret_status = lose(running, &contest->list[i], &news);
				left--;
			}
		}
		ping_all(contest, &next_ping);
	}
	return NULL;
}

/* ---- the session ---- */

struct session {
	pid_t pid;
	int ended; /* a pidfd; -1: it has */
	bool has_terminal;
	struct termios before;
	bool is_saved;
};

static int open_session(const struct running *running, const struct contender *contender,
			const char *token, struct session *session)
{
	struct ssh how = {.path = running->ssh,
			  .host = contender->host,
			  .token = token,
			  .control = *contender->control ? contender->control : NULL,
			  .foreground = true,
			  .in = STDIN_FILENO,
			  .out = STDOUT_FILENO,
			  .err = STDERR_FILENO};
	int reason;

	session->has_terminal = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
	session->is_saved =
		isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &session->before) == 0;
	how.terminal = session->has_terminal;
	reason = ssh_start(&how, &session->pid, &session->ended);
	return reason ? fail(STATUS_UNAVAILABLE, "%s: cannot start ssh: %s", contender->host->name,
			     strerror(reason))
		      : 0;
}

/* Also puts the terminal back, which a session that was ended by force does not. */
static void close_session(struct session *session)
{
	if (session->ended >= 0) {
		(void)kill(session->pid, SIGKILL);
		(void)ssh_status(session->pid);
		ga_close_fd(&session->ended);
		session->ended = -1;
	}
	if (session->is_saved)
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &session->before);
}

static void pass_signal(const struct contender *contender, int number)
{
	char line[32];

	(void)snprintf(line, sizeof line, JOB_SIGNAL "%d", number);
	contender_say(contender, line);
}

/* What is known while the command runs. */
struct course {
	int status;           /* -1: not yet */
	int lost;             /* 0, or why: the other end's status */
	int64_t one_ended_at; /* when the first of the two sessions ended; -1: neither has */
	char reason[1024];
};

static void note_end(struct course *course)
{
	if (course->one_ended_at < 0)
		course->one_ended_at = ga_clock_ms();
}

static void take_news(const struct running *running, struct contender *contender,
		      struct session *session, struct course *course)
{
	struct contender_news news;

	for (;;) {
		contender_hear(contender, &news);
		if (news.event == CONTENDER_NOTHING)
			return;
		if (news.event == CONTENDER_READY && session->pid == 0)
			course->lost = open_session(running, contender, news.words, session);
		if (news.event == CONTENDER_ENDED) {
			course->status = news.value;
			note_end(course);
		}
		if (news.event == CONTENDER_GONE && course->status < 0) {
			course->lost = news.value ? news.value : STATUS_UNAVAILABLE;
			(void)snprintf(course->reason, sizeof course->reason, "%s", news.words);
		}
	}
}

/* Both sessions go on until the command has ended and all that it printed is here. */
static void follow(const struct running *running, struct contender *contender,
		   struct session *session, struct course *course)
{
	int64_t next_ping = 0;

	while (!course->lost && !(course->status >= 0 && session->ended < 0)) {
		enum { SIGNALS = CONTENDER_FDS, SESSION };
		struct pollfd fds[SESSION + 1];
		int64_t until = next_ping, now;
		int number;

		contender_watch(contender, fds);
		fds[SIGNALS] = (struct pollfd){running->signals, POLLIN, 0};
		fds[SESSION] = (struct pollfd){session->ended, POLLIN, 0};
		if (course->one_ended_at >= 0 && course->one_ended_at + LINGER_MS < until)
			until = course->one_ended_at + LINGER_MS;
		now = ga_clock_ms();
		(void)poll(fds, SESSION + 1, until > now ? (int)(until - now) : 0);
		while ((number = take_signal(running)))
			if (number == SIGHUP && running->call->value[OPTION_KEEP])
				course->lost = STATUS_UNAVAILABLE;
			else
				pass_signal(contender, number);
		if (session->ended >= 0 && fds[SESSION].revents) {
			(void)ssh_status(session->pid);
			ga_close_fd(&session->ended);
			session->ended = -1;
			note_end(course);
		}
		take_news(running, contender, session, course);
		if (course->one_ended_at >= 0 && ga_clock_ms() - course->one_ended_at > LINGER_MS)
			break;
		if (ga_clock_ms() >= next_ping) {
			contender_say(contender, JOB_PING);
			next_ping = ga_clock_ms() + PING_MS;
		}
	}
}

static int go_on(const struct running *running, struct contender *winner)
{
	struct session session = {.ended = -1};
	struct course course = {.status = -1, .one_ended_at = -1};

	contender_say(winner, JOB_GO);
	follow(running, winner, &session, &course);
	close_session(&session);
	if (course.status >= 0)
		return course.status;
	/* It never began; gpualloc there has said why, unless it is for this one to say. */
	if (course.lost && course.lost != STATUS_UNAVAILABLE && session.pid == 0)
		return *course.reason
			       ? fail(course.lost, "%s: %s", winner->host->name, course.reason)
			       : course.lost;
	if (running->call->value[OPTION_KEEP])
		return fail(STATUS_UNAVAILABLE,
			    "%s: the connection was lost%s%s; the command goes on there: `gpualloc "
			    "log --on %s %s` shows what it prints",
			    winner->host->name, *course.reason ? ": " : "", course.reason,
			    winner->host->name, winner->lease);
	return fail(STATUS_UNAVAILABLE,
		    "%s: the connection was lost%s%s; the command there is ended (with --keep it "
		    "would go on)",
		    winner->host->name, *course.reason ? ": " : "", course.reason);
}

/* ---- all together ---- */

static int end_by(const struct running *running, int signal)
{
	(void)sigprocmask(SIG_SETMASK, &running->before, NULL);
	(void)raise(signal);
	return 128 + signal;
}

/* With those that are in it; *ret_again if none was granted anything, all for want of devices. */
static int hold_contest(struct running *running, struct contest *contest, bool *ret_again)
{
	int status, signal;
	struct contender *winner = first_granted(running, contest, &status, &signal);

	running->is_settled = running->is_settled || winner || signal;
	drop_all_but(contest, winner);
	*ret_again = !winner && !signal && status == STATUS_BUSY_THERE;
	if (signal) {
		remove_place(&running->place);
		return end_by(running, signal);
	}
	if (!winner)
		return status;
	status = go_on(running, winner);
	contender_drop(winner);
	return status;
}

/* One after the other, best first: who was quicker may have taken what was offered. */
static int take_offers(struct running *running, struct contest *contest, const struct offer *offers,
		       size_t count, bool *ret_again)
{
	int result = STATUS_BUSY_THERE;

	*ret_again = true;
	for (size_t i = 0; *ret_again && i < count && offers[i].status == 0; i++) {
		contest->count = 0;
		result = enter(running, contest, offers[i].host, NOW);
		if (result == 0)
			result = hold_contest(running, contest, ret_again);
	}
	return result;
}

/* Devices are kept for us at one host only: the first that may ever have enough. */
static int wait_everywhere(struct running *running, struct contest *contest,
			   const struct offer *offers, size_t count)
{
	int result = STATUS_UNAVAILABLE;
	bool again;

	contest->count = 0;
	for (size_t i = 0; i < count; i++)
		if (offers[i].status == 0 || offers[i].status == STATUS_BUSY_THERE)
			result = enter(running, contest, offers[i].host,
				       contest->count > 0 ? UNKEPT : WAITING);
	return contest->count > 0 ? hold_contest(running, contest, &again) : result;
}

static int run_somewhere(struct running *running, const struct hosts *hosts, struct offer *offers)
{
	ga_auto_free struct contest *contest = calloc(1, sizeof *contest);
	bool again = false, may_wait = running->call->value[OPTION_WAIT] != NULL;
	int result;

	if (!contest)
		return fail_memory();
	/* The only one need not be asked before. */
	if (hosts->count == 1) {
		result = enter(running, contest, &hosts->list[0], may_wait ? WAITING : NOW);
		return result ? result : hold_contest(running, contest, &again);
	}
	result = offers_find(running->call, hosts, offers);
	running->is_settled = result != 0;
	if (result)
		return result;
	result = offers_status(offers, hosts->count);
	if (offers[0].status == 0)
		result = take_offers(running, contest, offers, hosts->count, &again);
	if (!may_wait || (offers[0].status == 0 ? !again : result != STATUS_BUSY_THERE))
		return result;
	return wait_everywhere(running, contest, offers, hosts->count);
}

int run_on(const struct call *call, const struct hosts *hosts)
{
	ga_cleanup(running_free) struct running running = {.call = call, .signals = -1};
	struct offer *offers = NULL;
	int result = job_check(call);

	running.is_only = hosts->count == 1;
	if (result == 0)
		result = ssh_find(&running.ssh);
	if (result == 0)
		result = make_requests(call, &running);
	if (result == 0)
		result = ssh_make_folder(running.place.path);
	if (result == 0)
		result = take_signals(&running);
	if (result)
		return result;
	offers = calloc(hosts->count, sizeof *offers);
	result = offers ? run_somewhere(&running, hosts, offers) : fail_memory();
	offers_free(offers, hosts->count);
	/* Each host's reason was a note; people see by themselves that nothing comes after them. */
	if (result && !running.is_settled && message_is_json())
		return fail(result, "none of these %zu hosts did what was asked", hosts->count);
	return result;
}
