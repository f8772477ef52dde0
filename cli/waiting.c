/* SPDX-License-Identifier: Apache-2.0 */
/* The line on the terminal while waiting; see waiting.h. */
#include "waiting.h"

#include "clock.h"
#include "columns.h"
#include "elapsed.h"
#include "message.h"
#include "terminal.h"
#include "text.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const int endings[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
enum { ENDINGS = sizeof endings / sizeof *endings };

/* Repainting every second shows that it lives; for a line an hour, a look every minute will do. */
enum { PAINT_SECONDS = 1, LOG_SECONDS = 60, SAY_AGAIN_MS = 60 * 60 * 1000 };

/* A signal handler has nowhere else to put its result. */
static volatile sig_atomic_t ending;
static volatile sig_atomic_t period;

/* Even with SA_RESTART it ends a ppoll(), which is how this process sleeps, but no read(). */
static void note_time(int signal)
{
	(void)signal;
	(void)alarm((unsigned)period);
}

/* The signal may come just before the sleep that it should end, so another one follows. */
static void note_ending(int signal)
{
	struct sigaction action = {.sa_handler = note_ending};

	if (signal != SIGALRM)
		ending = signal;
	(void)sigaction(SIGALRM, &action, NULL);
	(void)alarm(1);
}

/* Without SA_RESTART, so that a sleep ends. Ignored signals stay ignored. */
static void set_handlers(void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler}, before;

	for (size_t i = 0; i < ENDINGS; i++)
		if (sigaction(endings[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			(void)sigaction(endings[i], &action, NULL);
}

/* A document is never painted over. */
static bool is_painted(void)
{
	return !message_is_json() && terminal_is_watched(STDERR_FILENO);
}

void waiting_begin(struct waiting *waiting, bool quiet, bool in_queue)
{
	struct sigaction action = {.sa_handler = note_time, .sa_flags = SA_RESTART};

	*waiting = (struct waiting){
		.quiet = quiet, .in_queue = in_queue, .since = ga_clock_awake_or_not_ms()};
	if (!in_queue)
		return;
	set_handlers(note_ending);
	if (quiet)
		return;
	period = is_painted() ? PAINT_SECONDS : LOG_SECONDS;
	(void)sigaction(SIGALRM, &action, NULL);
	(void)alarm((unsigned)period);
}

static void paint(const char *line)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;

	ga_buffer_text(&text, "\r\033[K");
	columns_cut(&text, line, terminal_columns(STDERR_FILENO) - 1);
	if (!text.failed)
		(void)!write(STDERR_FILENO, text.data, text.size);
}

/* Who holds what, on one line; the first of several lines only repeats the request. */
static void add_sentence(struct ga_buffer *line, const char *sentence)
{
	const char *rest = strchr(sentence, '\n');
	bool blank = true;

	if (*sentence)
		ga_buffer_text(line, ": ");
	for (const char *at = rest ? rest : sentence; *at; at++) {
		bool is_blank = *at == ' ' || ga_text_is_control(*at);

		if (*at == '\n' && at != rest)
			ga_buffer_char(line, ';');
		if (is_blank && !blank)
			ga_buffer_char(line, ' ');
		else if (!is_blank)
			ga_buffer_char(line, *at);
		blank = is_blank;
	}
}

static void add_place(struct ga_buffer *line, size_t place)
{
	if (place <= 1)
		ga_buffer_text(line, ", next in the queue");
	else
		ga_buffer_format(line, ", %zu before you in the queue", place - 1);
}

/* The same every second: only the clock moves, and what comes after it stays where it is. */
static void repaint(struct waiting *waiting, size_t place, const char *sentence)
{
	ga_auto_buffer struct ga_buffer line = GA_BUFFER_OUTPUT;

	ga_buffer_text(&line, "gpualloc: waiting ");
	elapsed_clock(&line, ga_clock_awake_or_not_ms() - waiting->since);
	add_place(&line, place);
	add_sentence(&line, sentence);
	if (!line.failed)
		paint(line.data);
	waiting->painted = true;
}

static void log_line(struct waiting *waiting, size_t place, const char *sentence)
{
	ga_auto_buffer struct ga_buffer line = GA_BUFFER_OUTPUT;
	int64_t now = ga_clock_awake_or_not_ms();
	bool is_first = waiting->said_place == 0;

	if (!is_first && place == waiting->said_place && now - waiting->said_at < SAY_AGAIN_MS)
		return;
	ga_buffer_text(&line, "waiting");
	if (!is_first) {
		ga_buffer_text(&line, " for ");
		elapsed_words(&line, now - waiting->since);
	}
	add_place(&line, place);
	add_sentence(&line, sentence);
	if (!line.failed)
		say("%s", line.data);
	waiting->said_at = now;
	waiting->said_place = place;
}

static void clear(struct waiting *waiting)
{
	if (waiting->painted)
		paint("");
	waiting->painted = false;
}

int waiting_tell(void *context, size_t place, const char *sentence)
{
	struct waiting *waiting = context;

	if (ending)
		return -1;
	if (waiting->quiet)
		return 0;
	place = place > 0 ? place : 1;
	if (is_painted())
		repaint(waiting, place, sentence ? sentence : "");
	else
		log_line(waiting, place, sentence ? sentence : "");
	return 0;
}

int waiting_end(struct waiting *waiting)
{
	struct sigaction usual = {.sa_handler = SIG_DFL};

	if (waiting->in_queue) {
		(void)alarm(0);
		set_handlers(SIG_DFL);
		(void)sigaction(SIGALRM, &usual, NULL);
	}
	if (is_painted())
		clear(waiting);
	return ending;
}

void die_by(int signal)
{
	struct sigaction usual = {.sa_handler = SIG_DFL};
	struct rlimit no_core = {0};
	sigset_t one;

	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)sigaction(signal, &usual, NULL);
	(void)sigemptyset(&one);
	(void)sigaddset(&one, signal);
	(void)sigprocmask(SIG_UNBLOCK, &one, NULL);
	(void)raise(signal);
}
