/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The teller: watches its maker by a descriptor that cannot mean another process, and starts the
 * program for each event, with the event in its environment. It has no lease, and nobody waits for
 * it.
 */
#include "buffer.h"
#include "clock.h"
#include "elapsed.h"
#include "message.h"
#include "notify.h"
#include "notify_word.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	PROGRAM_MS = 30000, /* how long the program may take */
	ERRORS_MOST = 400,  /* how much of what it complains about is shown */
	LEAVE_MS = 1000,    /* how long a reader of our messages waits for us after the command */
	REAPED_MS = 500,    /* how long to look for the status of a process that has ended */
	NEVER = -1,
};

struct teller {
	char *program;
	bool is_hold;
	pid_t pid; /* whom it watches */
	int64_t before_ms;
	int64_t started;      /* when the devices were got */
	int64_t ends;         /* NEVER if that is unknown or was told */
	int64_t end;          /* the same, and kept */
	int status;           /* as from waitpid(); -1: unknown */
	int64_t errors_until; /* when to let go of a pipe to somebody who reads our messages */
	char *fields[NOTIFY_FIELDS];
};

static bool is_known(const struct teller *teller, enum notify_field field)
{
	return teller->fields[field] && *teller->fields[field];
}

/* ---- sentences ---- */

static void add_host(struct ga_buffer *text)
{
	char host[256] = "";

	if (gethostname(host, sizeof host - 1) == 0 && *host)
		ga_buffer_format(text, "%s: ", host);
}

/* "`python train.py` on GPU 0,1", "hold 5f3a of GPU 0,1" */
static void add_what(struct ga_buffer *text, const struct teller *teller)
{
	if (teller->is_hold)
		ga_buffer_format(text, "hold %s", teller->fields[NOTIFY_LEASE]);
	else
		ga_buffer_format(text, "`%s`", teller->fields[NOTIFY_COMMAND]);
	if (is_known(teller, NOTIFY_IDS))
		ga_buffer_format(text, " %s %s", teller->is_hold ? "of" : "on",
				 teller->fields[NOTIFY_IDS]);
}

static void add_got(struct ga_buffer *text, const struct teller *teller, int64_t waited_ms)
{
	add_what(text, teller);
	ga_buffer_text(text, teller->is_hold ? " begins" : " starts");
	if (waited_ms >= 60000) {
		ga_buffer_text(text, " after waiting ");
		elapsed_words(text, waited_ms);
	}
}

static void add_gave_up(struct ga_buffer *text, const struct teller *teller, int64_t waited_ms)
{
	if (teller->is_hold)
		ga_buffer_text(text, "there is no hold");
	else
		ga_buffer_format(text, "`%s` was not started", teller->fields[NOTIFY_COMMAND]);
	ga_buffer_text(text, ": no devices after waiting ");
	elapsed_words(text, waited_ms);
}

static void add_ending(struct ga_buffer *text, const struct teller *teller)
{
	int64_t left = teller->end - ga_clock_awake_or_not_ms();
	time_t at = time(NULL) + (time_t)(left / 1000);
	char words[16] = "?";
	struct tm local;

	if (localtime_r(&at, &local))
		(void)strftime(words, sizeof words, "%H:%M", &local);
	add_what(text, teller);
	ga_buffer_format(text, " ends in ");
	elapsed_words(text, (left + 999) / 1000 * 1000);
	ga_buffer_format(text, ", at %s", words);
	if (teller->is_hold)
		ga_buffer_format(text, "; gpualloc hold --extend %s --for 1h prolongs it",
				 teller->fields[NOTIFY_LEASE]);
	else
		ga_buffer_text(text, ", by its time limit");
}

static void add_ended(struct ga_buffer *text, const struct teller *teller)
{
	add_what(text, teller);
	if (teller->is_hold)
		ga_buffer_text(text, " is over, ");
	else if (teller->status < 0)
		ga_buffer_text(text, " has ended ");
	else if (WIFSIGNALED(teller->status))
		ga_buffer_format(text, " was ended by SIG%s ",
				 sigabbrev_np(WTERMSIG(teller->status)));
	else
		ga_buffer_format(text, " has ended with status %d ", WEXITSTATUS(teller->status));
	ga_buffer_text(text, "after ");
	elapsed_words(text, ga_clock_awake_or_not_ms() - teller->started);
}

/* ---- the program ---- */

/* What it was told belongs to this event only. */
static void set(const char *name, const char *value)
{
	if (value && *value)
		(void)setenv(name, value, 1);
	else
		(void)unsetenv(name);
}

/* As a shell says it. */
static void set_status(const struct teller *teller, bool is_end)
{
	char number[8];

	(void)snprintf(number, sizeof number, "%d",
		       WIFSIGNALED(teller->status) ? 128 + WTERMSIG(teller->status)
						   : WEXITSTATUS(teller->status));
	set("GPUALLOC_STATUS", is_end && !teller->is_hold && teller->status >= 0 ? number : NULL);
}

static void set_event(const struct teller *teller, const char *event, char *message)
{
	ga_text_disarm(message);
	set("GPUALLOC_EVENT", event);
	set("GPUALLOC_MESSAGE", message);
	set("GPUALLOC_LEASE", teller->fields[NOTIFY_LEASE]);
	set("GPUALLOC_DEVICES", teller->fields[NOTIFY_DEVICES]);
	set("GPUALLOC_COMMAND", teller->fields[NOTIFY_COMMAND]);
	set_status(teller, strcmp(event, "ended") == 0);
}

/* In a group of its own, so that all of it can be ended when its time is up. */
_Noreturn static void become_program(char *program, int errors)
{
	char *const words[] = {program, NULL};
	sigset_t none;

	(void)setpgid(0, 0);
	(void)dup2(errors, 2);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	(void)execve(program, words, environ);
	(void)dprintf(2, "%s", strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

static void let_errors_go(struct teller *teller)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (nothing >= 0)
		(void)dup2(nothing, STDERR_FILENO);
	if (nothing > STDERR_FILENO)
		close(nothing);
	teller->errors_until = NEVER;
}

static bool has_ended(int pidfd)
{
	struct pollfd end = {.fd = pidfd, .events = POLLIN};

	return poll(&end, 1, 0) > 0;
}

/* Who reads our messages through a pipe sees its end when the command ends, or soon after. */
static bool is_read(void)
{
	struct stat file;

	return fstat(STDERR_FILENO, &file) == 0 &&
	       (S_ISFIFO(file.st_mode) || S_ISSOCK(file.st_mode));
}

static void mind_reader(struct teller *teller)
{
	int64_t now = ga_clock_ms();

	if (teller->errors_until == NEVER && is_read() && has_ended(TELLER_PIDFD))
		teller->errors_until = now + LEAVE_MS;
	if (teller->errors_until != NEVER && now >= teller->errors_until)
		let_errors_go(teller);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return b == NEVER || (a != NEVER && a < b) ? a : b;
}

/* Waits for the program's end and reads its complaints; false if its time is up. */
static bool await(struct teller *teller, int pidfd, int errors, struct ga_buffer *complaints)
{
	int64_t until = ga_clock_ms() + PROGRAM_MS;
	struct pollfd fds[3] = {{.fd = pidfd, .events = POLLIN},
				{.fd = errors, .events = POLLIN},
				{.fd = TELLER_PIDFD, .events = POLLIN}};

	for (;;) {
		int64_t wake, now = ga_clock_ms();
		char part[512];
		ssize_t size;

		mind_reader(teller);
		if (has_ended(TELLER_PIDFD))
			fds[2].fd = -1;
		wake = earlier(until, teller->errors_until);
		if (poll(fds, 3, wake > now ? (int)(wake - now) : 0) < 0 && errno != EINTR)
			return false;
		size = fds[1].fd >= 0 && fds[1].revents ? read(errors, part, sizeof part) : -1;
		if (size == 0)
			fds[1].fd = -1;
		if (size > 0 && complaints->size < ERRORS_MOST)
			ga_buffer_append(complaints, part, (size_t)size);
		if (has_ended(pidfd) && (size <= 0 || complaints->size >= ERRORS_MOST))
			return true;
		if (ga_clock_ms() >= until)
			return false;
	}
}

/* One line, of however many it wrote. */
static void complain(const struct teller *teller, const char *what, const struct ga_buffer *text)
{
	char line[ERRORS_MOST + 1] = "";
	size_t size = text->data ? strcspn(text->data, "\n") : 0;

	(void)snprintf(line, sizeof line, "%.*s", (int)(size < ERRORS_MOST ? size : ERRORS_MOST),
		       text->data ? text->data : "");
	say("note: --notify: %s %s when told \"%s\"%s%s", teller->program, what,
	    getenv("GPUALLOC_EVENT"), *line ? ": " : "", line);
}

static void look_at(const struct teller *teller, pid_t child, bool in_time,
		    const struct ga_buffer *complaints)
{
	char what[64];
	int status = 0;

	if (!in_time)
		(void)kill(-child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	if (!in_time)
		(void)snprintf(what, sizeof what, "was not done after %d s and was killed",
			       PROGRAM_MS / 1000);
	else if (WIFSIGNALED(status))
		(void)snprintf(what, sizeof what, "was ended by SIG%s",
			       sigabbrev_np(WTERMSIG(status)));
	else
		(void)snprintf(what, sizeof what, "ended with status %d", WEXITSTATUS(status));
	if (!in_time || status != 0)
		complain(teller, what, complaints);
}

static void start_program(struct teller *teller)
{
	ga_auto_buffer struct ga_buffer complaints = GA_BUFFER_INIT(ERRORS_MOST + 1024);
	int errors[2], pidfd;
	bool in_time;
	pid_t child;

	if (pipe2(errors, O_CLOEXEC | O_NONBLOCK) < 0) {
		say("note: --notify: %s", strerror(errno));
		return;
	}
	child = fork();
	if (child == 0)
		become_program(teller->program, errors[1]);
	close(errors[1]);
	if (child < 0) {
		say("note: --notify: %s", strerror(errno));
	} else {
		(void)setpgid(child, child);
		pidfd = (int)syscall(SYS_pidfd_open, child, 0);
		in_time = await(teller, pidfd, errors[0], &complaints);
		look_at(teller, child, in_time, &complaints);
		close(pidfd);
	}
	close(errors[0]);
}

static void tell(struct teller *teller, const char *event, int64_t ms)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;

	add_host(&text);
	if (strcmp(event, "got") == 0)
		add_got(&text, teller, ms);
	else if (strcmp(event, "gave-up") == 0)
		add_gave_up(&text, teller, ms);
	else if (strcmp(event, "ending") == 0)
		add_ending(&text, teller);
	else
		add_ended(&text, teller);
	if (text.failed)
		return;
	set_event(teller, event, text.data);
	start_program(teller);
}

/* ---- what the maker says ---- */

static void take_fields(struct teller *teller, const char *at, const char *end)
{
	for (size_t i = 0; i < NOTIFY_FIELDS; i++) {
		const char *field = at < end ? at : "";

		free(teller->fields[i]);
		teller->fields[i] = strdup(field);
		at += strlen(field) + 1;
	}
}

static void take_word(struct teller *teller, const struct notify_word *word, const char *at,
		      const char *end)
{
	if (word->kind == NOTIFY_ENDS) {
		teller->ends = teller->end = word->ms;
	} else if (word->kind == NOTIFY_ENDED) {
		teller->status = (int)word->ms;
	} else {
		take_fields(teller, at, end);
		if (word->kind != NOTIFY_GAVE_UP)
			teller->started = ga_clock_awake_or_not_ms();
		if (word->kind != NOTIFY_RUNS)
			tell(teller, word->kind == NOTIFY_GOT ? "got" : "gave-up", word->ms);
	}
}

/* False once it has nothing more to say. */
static bool hear(struct teller *teller, char *packet)
{
	ssize_t size = recv(TELLER_SOCKET, packet, NOTIFY_SIZE_MOST, MSG_DONTWAIT);
	struct notify_word word;

	if (size < 0)
		return errno == EAGAIN || errno == EINTR;
	if (size < (ssize_t)sizeof word)
		return false;
	packet[size] = '\0';
	memcpy(&word, packet, sizeof word);
	take_word(teller, &word, packet + sizeof word, packet + size);
	return word.kind != NOTIFY_GAVE_UP;
}

/* ---- its end ---- */

/* Linux 6.15 tells everybody how a process ended, once its parent has looked. */
struct exit_info {
	uint64_t mask, cgroup;
	uint32_t ids[11];
	int32_t exit_code;
};
#define GET_EXIT_INFO _IOWR(0xff, 11, struct exit_info)
#define HAS_EXIT_INFO (UINT64_C(1) << 3)
_Static_assert(sizeof(struct exit_info) == 64, "as in the first version of that call");

/* Whether the kernel lets us see that process's status, which is 0 to strangers. */
static bool is_ours(const char *status)
{
	const char *line = strstr(status, "\nUid:");
	unsigned own = geteuid(), ids[4];

	return line &&
	       sscanf(line, "\nUid: %u %u %u %u", &ids[0], &ids[1], &ids[2], &ids[3]) == 4 &&
	       (own == 0 || (ids[0] == own && ids[1] == own && ids[2] == own && ids[3] == own));
}

static bool read_text(pid_t pid, const char *name, char *text, size_t size)
{
	char path[48];
	ssize_t got = -1;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		got = read(fd, text, size - 1);
		close(fd);
	}
	text[got > 0 ? got : 0] = '\0';
	return got > 0;
}

static bool is_reaped(void)
{
	struct pollfd end = {.fd = TELLER_PIDFD};

	return poll(&end, 1, 0) > 0 && end.revents & POLLHUP;
}

/* As long as its parent has not looked, its number is its own, and /proc shows the status last. */
static bool read_waiting_status(pid_t pid, int *ret_status)
{
	char text[2048];
	const char *last, *state;

	if (!read_text(pid, "status", text, sizeof text) || !is_ours(text) ||
	    !read_text(pid, "stat", text, sizeof text))
		return false;
	state = strrchr(text, ')');
	last = strrchr(text, ' ');
	if (!state || strncmp(state, ") Z", 3) != 0 || !last || is_reaped())
		return false;
	*ret_status = atoi(last);
	return true;
}

/* Linux says POLLHUP when the parent has looked; before 6.9 it does not. */
static int read_status(pid_t pid)
{
	int64_t until = ga_clock_ms() + REAPED_MS;
	int status;

	for (;;) {
		struct exit_info info = {.mask = HAS_EXIT_INFO};
		bool is_late = ga_clock_ms() >= until || is_reaped();

		if (ioctl(TELLER_PIDFD, GET_EXIT_INFO, &info) == 0 && info.mask & HAS_EXIT_INFO)
			return info.exit_code;
		if (read_waiting_status(pid, &status))
			return status;
		if (is_late)
			return -1;
		ga_clock_sleep_us(1000);
	}
}

static int timeout_of(const struct teller *teller)
{
	int64_t left = teller->ends - teller->before_ms - ga_clock_awake_or_not_ms();

	if (teller->ends == NEVER)
		return -1;
	/* poll() counts in an int, and does not count while the machine sleeps. */
	return left <= 0 ? 0 : left < 600000 ? (int)left : 600000;
}

/* An end that is told in advance, and comes later after all, is told again. */
static void look_at_time(struct teller *teller)
{
	if (teller->ends == NEVER || timeout_of(teller) > 0)
		return;
	teller->ends = NEVER;
	tell(teller, "ending", 0);
}

static void has_come(struct teller *teller)
{
	if (!teller->is_hold && teller->status < 0)
		teller->status = read_status(teller->pid);
	mind_reader(teller);
	tell(teller, "ended", 0);
}

/* True while there is something to wait for. */
static bool wait_for_more(struct teller *teller, struct pollfd *fds, char *packet)
{
	int ready = poll(fds, 2, timeout_of(teller));

	if (ready < 0 && errno != EINTR)
		return false;
	/* What it said comes before its end. */
	if (ready > 0 && fds[0].fd >= 0 && fds[0].revents) {
		if (!hear(teller, packet))
			fds[0].fd = -1;
		return fds[0].fd >= 0 || teller->started != NEVER;
	}
	if (ready > 0 && fds[1].revents) {
		if (teller->started != NEVER)
			has_come(teller);
		return false;
	}
	look_at_time(teller);
	return true;
}

int teller_main(char *const *words)
{
	char packet[NOTIFY_SIZE_MOST + 1];
	struct teller teller = {.program = words[1],
				.is_hold = strcmp(words[0], "hold") == 0,
				.before_ms = atoll(words[2]),
				.pid = atoi(words[3]),
				.started = NEVER,
				.ends = NEVER,
				.status = -1,
				.errors_until = NEVER};
	struct pollfd fds[2] = {{.fd = TELLER_SOCKET, .events = POLLIN},
				{.fd = TELLER_PIDFD, .events = POLLIN}};

	(void)prctl(PR_SET_NAME, "gpualloc-notify");
	(void)fcntl(TELLER_SOCKET, F_SETFD, FD_CLOEXEC);
	(void)fcntl(TELLER_PIDFD, F_SETFD, FD_CLOEXEC);
	(void)signal(SIGCHLD, SIG_DFL);
	(void)signal(SIGPIPE, SIG_IGN);
	take_fields(&teller, packet, packet);
	while (wait_for_more(&teller, fds, packet))
		continue;
	for (size_t i = 0; i < NOTIFY_FIELDS; i++)
		free(teller.fields[i]);
	return 0;
}
