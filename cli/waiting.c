/* SPDX-License-Identifier: Apache-2.0 */
/* The line on the terminal while waiting; see waiting.h. */
#include "waiting.h"

#include "columns.h"
#include "text.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const int endings[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
enum { ENDINGS = sizeof endings / sizeof *endings };

/* A signal handler has nowhere else to put its result. */
static volatile sig_atomic_t ending;

/* The signal may come just before the sleep that it should end, so another one follows. */
static void note_ending(int signal)
{
	if (signal != SIGALRM)
		ending = signal;
	(void)alarm(1);
}

/* Without SA_RESTART, so that a sleep ends. Ignored signals stay ignored. */
static void set_handlers(void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler}, before;

	for (size_t i = 0; i < ENDINGS; i++)
		if (sigaction(endings[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			(void)sigaction(endings[i], &action, NULL);
	(void)sigaction(SIGALRM, &action, NULL);
}

void waiting_begin(struct waiting *waiting, bool quiet)
{
	*waiting = (struct waiting){.terminal = terminal_of(STDERR_FILENO)};
	waiting->terminal.is_terminal = waiting->terminal.is_terminal && !quiet;
	set_handlers(note_ending);
}

static void paint(const struct waiting *waiting, const char *line)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;

	ga_buffer_text(&text, "\r\033[K");
	columns_cut(&text, line, waiting->terminal.width - 1);
	if (!text.failed)
		(void)!write(STDERR_FILENO, text.data, text.size);
}

/* Who holds what, on one line; the first of several lines only repeats the request. */
static void add_sentence(struct ga_buffer *line, const char *sentence)
{
	const char *rest = strchr(sentence, '\n');
	bool blank = true;

	for (const char *at = rest ? rest : sentence; *at; at++) {
		bool is_blank = *at == ' ' || ga_text_is_control(*at);

		if (is_blank && !blank)
			ga_buffer_char(line, ' ');
		else if (!is_blank)
			ga_buffer_char(line, *at);
		blank = is_blank;
	}
}

int waiting_tell(void *context, size_t place, const char *sentence)
{
	struct waiting *waiting = context;
	ga_auto_buffer struct ga_buffer line = GA_BUFFER_OUTPUT;

	if (ending)
		return -1;
	if (!waiting->terminal.is_terminal)
		return 0;
	ga_buffer_text(&line, "gpualloc: waiting, ");
	if (place <= 1)
		ga_buffer_text(&line, "next in the queue");
	else
		ga_buffer_format(&line, "%zu before you in the queue", place - 1);
	if (sentence && *sentence) {
		ga_buffer_text(&line, ": ");
		add_sentence(&line, sentence);
	}
	if (!line.failed)
		paint(waiting, line.data);
	waiting->painted = true;
	return 0;
}

int waiting_end(struct waiting *waiting)
{
	(void)alarm(0);
	set_handlers(SIG_DFL);
	if (waiting->painted)
		paint(waiting, "");
	waiting->painted = false;
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
