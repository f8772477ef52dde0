/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a teller and speaking to it; see notify.h. */
#include "notify.h"

#include "clock.h"
#include "duration.h"
#include "given.h"
#include "leasing.h"
#include "message.h"
#include "notify_word.h"
#include "options.h"
#include "orphan.h"
#include "owned.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* How much of a command is told: a title for people, not a script. */
enum { BEFORE_DEFAULT_MS = 10 * 60 * 1000, COMMAND_MOST = 4096 };

/* What somebody is told of. */
struct what {
	enum notify_kind kind;
	char *const *words;
	const char *lease;               /* NULL if there is none */
	const char *uuids;               /* NULL: those of the devices */
	const gpualloc_device **devices; /* NULL if they are not known */
	size_t count;
	int64_t for_ms;
};

/* ---- reading the options ---- */

static int refuse_program(const struct call *call, const gpualloc_error *error)
{
	const char *word = call->value[OPTION_NOTIFY];

	if (strpbrk(word, " \t"))
		return fail_usage(call->command,
				  "--notify takes one program without arguments, and there is none "
				  "named \"%s\"; put the arguments into a script",
				  word);
	return fail_usage(call->command, "--notify: %s", gpualloc_error_message(error));
}

/* A name that works from any folder, for the teller leaves this one. */
static int find_program(const struct call *call, char **ret_path)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_auto_free char *found = NULL;

	if (gpualloc_program_find(call->value[OPTION_NOTIFY], &found, error) < 0)
		return refuse_program(call, error);
	*ret_path = *found == '/' ? strdup(found) : realpath(found, NULL);
	return *ret_path ? 0 : fail_memory();
}

static int read_lasting(const struct call *call, int64_t *ret_ms)
{
	const char *time = call->value[OPTION_FOR];

	if (!time)
		time = call->value[OPTION_TIME_LIMIT];
	*ret_ms = 0;
	return time ? duration_read(call, "the duration", time, GA_DURATION_MAX, ret_ms) : 0;
}

/* How long before the end; of a short time the half. */
static int read_before(const struct call *call, int64_t *ret_ms)
{
	const char *word = call->value[OPTION_NOTIFY_BEFORE];
	int64_t lasting;
	int result = read_lasting(call, &lasting);

	if (result)
		return result;
	*ret_ms = lasting > 0 && lasting / 2 < BEFORE_DEFAULT_MS ? lasting / 2 : BEFORE_DEFAULT_MS;
	if (!word)
		return 0;
	result = duration_read(call, "--notify-before", word, GA_DURATION_MAX, ret_ms);
	if (result == 0 && lasting == 0)
		return fail_usage(call->command,
				  "--notify-before tells how long before the end of --time-limit; "
				  "give that too");
	if (result == 0 && *ret_ms >= lasting)
		return fail_usage(call->command,
				  "--notify-before %s is no time before the end: it only lasts %s",
				  word,
				  call->value[OPTION_FOR] ? call->value[OPTION_FOR]
							  : call->value[OPTION_TIME_LIMIT]);
	return result;
}

/* ---- the teller ---- */

struct becoming {
	const char *kind, *path;
	int64_t before_ms;
	pid_t pid;
};

/* A teller is in no lease, not even in one that its maker is in. */
static void leave_outer_lease(void)
{
	static const char *const names[] = {"GPUALLOC_LEASE", "GPUALLOC_FD", "GPUALLOC_DEVICES",
					    "GPUALLOC_MEMORY"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		(void)unsetenv(names[i]);
}

/* A reader at the other end of a hold's pipe would wait for the teller to end. */
static bool may_keep_errors(const char *kind)
{
	return strcmp(kind, "hold") != 0 || isatty(STDERR_FILENO) == 1;
}

static bool leave_everything(const char *kind)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	return nothing >= 0 && setsid() >= 0 && chdir("/") == 0 && dup2(nothing, 0) == 0 &&
	       dup2(nothing, 1) == 1 && (may_keep_errors(kind) || dup2(nothing, 2) == 2) &&
	       fcntl(TELLER_SOCKET, F_SETFD, 0) == 0 && fcntl(TELLER_PIDFD, F_SETFD, 0) == 0;
}

static int be_teller(void *context, const gpualloc_error *trouble)
{
	const struct becoming *becoming = context;
	char title[] = "gpualloc-notify", word[] = TELLER_WORD, before[24], pid[16];
	const char *words[] = {title, word, becoming->kind, becoming->path, before, pid, NULL};

	if (trouble)
		return fail_error(GPUALLOC_EIO, trouble);
	leave_outer_lease();
	(void)snprintf(before, sizeof before, "%lld", (long long)becoming->before_ms);
	(void)snprintf(pid, sizeof pid, "%d", (int)becoming->pid);
	/* execve() takes arguments that are not const, but does not change them. */
	if (leave_everything(becoming->kind))
		(void)execve("/proc/self/exe", (char *const *)(void *)words, environ);
	return fail(STATUS_OUTPUT, "--notify: nobody will be told: %s", strerror(errno));
}

static int start_teller(struct becoming *becoming, int *ret_to)
{
	gpualloc_error why = {0};
	int ends[2], given[2], result;

	given[1] = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (given[1] < 0)
		return fail(STATUS_OUTPUT,
			    "--notify needs pidfd_open(), which Linux has since 5.3: %s",
			    strerror(errno));
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		close(given[1]);
		return fail(STATUS_OUTPUT, "--notify: %s", strerror(errno));
	}
	given[0] = ends[1];
	result = ga_orphan_start_with(be_teller, becoming, given, 2, &why);
	close(given[0]);
	close(given[1]);
	if (result == 0) {
		*ret_to = ends[0];
		return 0;
	}
	close(ends[0]);
	return fail(STATUS_OUTPUT, "--notify: %s", why.message);
}

int notify_begin(const struct call *call, struct notify *ret_notify)
{
	ga_auto_free char *path = NULL;
	struct becoming becoming = {.kind = call->command->name, .pid = getpid()};
	int result;

	*ret_notify = NOTIFY_NONE;
	if (!call->value[OPTION_NOTIFY] && call->value[OPTION_NOTIFY_BEFORE])
		return fail_usage(call->command, "--notify-before says when; --notify PROGRAM says "
						 "who is started then");
	if (!call->value[OPTION_NOTIFY])
		return 0;
	result = read_before(call, &becoming.before_ms);
	if (result == 0)
		result = find_program(call, &path);
	becoming.path = path;
	if (result == 0)
		result = start_teller(&becoming, &ret_notify->to);
	ret_notify->since = ga_clock_awake_or_not_ms();
	return result;
}

void notify_end(struct notify *notify)
{
	if (notify->to >= 0)
		close(notify->to);
	notify->to = -1;
}

/* ---- what it is told ---- */

/* A teller that has gone, or is behind, is no reason to fail or to wait. */
static void send_word(int to, const struct ga_buffer *text)
{
	if (!text->failed && text->size <= NOTIFY_SIZE_MOST)
		(void)send(to, text->data, text->size, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void add_word(struct ga_buffer *text, enum notify_kind kind, int64_t ms)
{
	struct notify_word word;

	memset(&word, 0, sizeof word);
	word.kind = (int32_t)kind;
	word.ms = ms;
	ga_buffer_append(text, &word, sizeof word);
}

static void say_word(int to, enum notify_kind kind, int64_t ms)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(NOTIFY_SIZE_MOST);

	if (to < 0)
		return;
	add_word(&text, kind, ms);
	send_word(to, &text);
}

static void end_field(struct ga_buffer *text)
{
	ga_buffer_append(text, "", 1);
}

static void add_uuids(struct ga_buffer *text, const struct what *what)
{
	if (what->uuids && strlen(what->uuids) < COMMAND_MOST)
		ga_buffer_text(text, what->uuids);
	for (size_t i = 0; i < what->count; i++) {
		const char *uuid = gpualloc_device_uuid(what->devices[i]);

		ga_buffer_format(text, "%s%s", i ? "," : "", uuid ? uuid : "?");
	}
	end_field(text);
}

static void add_command(struct ga_buffer *text, char *const *words)
{
	size_t start = text->size, room;

	for (size_t i = 0; words && words[i] && text->size - start < COMMAND_MOST; i++) {
		if (i > 0)
			ga_buffer_char(text, ' ');
		room = COMMAND_MOST - (text->size - start);
		ga_buffer_append(text, words[i], strnlen(words[i], room));
	}
	end_field(text);
}

static void say_what(const struct notify *notify, const struct what *what)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(NOTIFY_SIZE_MOST);
	int64_t now = ga_clock_awake_or_not_ms();

	if (notify->to < 0)
		return;
	add_word(&text, what->kind, now - notify->since);
	ga_buffer_text(&text, what->lease ? what->lease : "");
	end_field(&text);
	add_uuids(&text, what);
	add_command(&text, what->words);
	if (what->count > 0)
		add_device_ids(&text, what->devices, what->count);
	end_field(&text);
	send_word(notify->to, &text);
	if (what->for_ms > 0)
		notify_ends(notify->to, now + what->for_ms);
}

int notify_lease(const struct notify *notify, const gpualloc_lease *lease, char *const *words,
		 int64_t for_ms)
{
	ga_auto_free const gpualloc_device **devices = given_by_lease(lease);
	struct what what = {.kind = NOTIFY_GOT,
			    .words = words,
			    .lease = gpualloc_lease_id(lease),
			    .devices = devices,
			    .count = gpualloc_lease_device_count(lease),
			    .for_ms = for_ms};

	if (!devices)
		return fail_memory();
	say_what(notify, &what);
	return 0;
}

int notify_choice(const struct notify *notify, const gpualloc_choice *choice, char *const *words,
		  int64_t for_ms)
{
	ga_auto_free const gpualloc_device **devices = given_by_choice(choice);
	struct what what = {.kind = NOTIFY_GOT,
			    .words = words,
			    .devices = devices,
			    .count = gpualloc_choice_device_count(choice),
			    .for_ms = for_ms};

	if (!devices)
		return fail_memory();
	say_what(notify, &what);
	return 0;
}

void notify_joined(const struct notify *notify, char *const *words, int64_t for_ms)
{
	struct what what = {.kind = NOTIFY_RUNS,
			    .words = words,
			    .lease = getenv("GPUALLOC_LEASE"),
			    .uuids = getenv("GPUALLOC_DEVICES"),
			    .for_ms = for_ms};

	say_what(notify, &what);
}

void notify_gave_up(const struct notify *notify, char *const *words)
{
	struct what what = {.kind = NOTIFY_GAVE_UP, .words = words};

	say_what(notify, &what);
}

void notify_ended(const struct notify *notify, int status)
{
	say_word(notify->to, NOTIFY_ENDED, status);
}

void notify_ends(int to, int64_t at)
{
	say_word(to, NOTIFY_ENDS, at);
}
