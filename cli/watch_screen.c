/* SPDX-License-Identifier: Apache-2.0 */
/* The painter of list --watch: keys, the clock, what the asker answers; see watch.h. */
#include "cleanup.h"
#include "clock.h"
#include "file.h"
#include "message.h"
#include "terminal.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* A driver that answers later than that is called silent. */
enum { SILENT_MS = 3000, KEYS_SIZE = 64 };

struct screen {
	const struct call *call;
	struct watch_picture picture;
	struct watch_history *histories;
	struct ga_buffer answer, coming; /* the last whole one, and what has come of the next */
	pid_t asker;
	int to, from; /* its pipes */
	bool is_asking;
	int64_t asked_at, answered_at, next_at;
	size_t shown; /* rows in the window */
	bool ended;
};

/* ---- the asker ---- */

static bool start_asker(struct screen *screen)
{
	int to[2], from[2];
	pid_t parent = getpid();

	if (pipe2(to, O_CLOEXEC) < 0)
		return false;
	if (pipe2(from, O_CLOEXEC) < 0) {
		close(to[0]);
		close(to[1]);
		return false;
	}
	screen->asker = fork();
	if (screen->asker == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
		close(to[1]);
		close(from[0]);
		watch_ask(screen->call, to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	screen->to = to[1];
	screen->from = from[0];
	screen->is_asking = false;
	screen->coming.size = 0;
	return screen->asker > 0 && fcntl(from[0], F_SETFL, O_NONBLOCK) == 0;
}

static void stop_asker(struct screen *screen)
{
	if (screen->asker > 0) {
		(void)kill(screen->asker, SIGKILL);
		(void)waitpid(screen->asker, NULL, 0);
	}
	close(screen->to);
	close(screen->from);
	screen->asker = 0;
}

static void ask(struct screen *screen, int64_t now)
{
	if (screen->is_asking || write(screen->to, "?", 1) != 1)
		return;
	screen->is_asking = true;
	screen->asked_at = now;
	screen->next_at = now + screen->picture.interval_ms;
}

/* ---- the last minute ---- */

static struct watch_history *find_history(struct screen *screen, const char *id)
{
	struct watch_picture *picture = &screen->picture;
	struct watch_history *more;

	for (size_t i = 0; i < picture->history_count; i++)
		if (strcmp(screen->histories[i].id, id) == 0)
			return &screen->histories[i];
	more = reallocarray(screen->histories, picture->history_count + 1, sizeof *more);
	if (!more)
		return NULL;
	screen->histories = more;
	picture->histories = more;
	more += picture->history_count++;
	memset(more->percent, -1, sizeof more->percent);
	(void)snprintf(more->id, sizeof more->id, "%s", id);
	return more;
}

/* As many seconds as have passed have this value. */
static void remember(struct screen *screen, const struct watch_row *row, size_t seconds)
{
	struct watch_history *history = find_history(screen, row->id);
	size_t keep = WATCH_HISTORY - seconds;

	if (!history)
		return;
	memmove(history->percent, history->percent + seconds, keep);
	memset(history->percent + keep,
	       row->utilization < 0     ? -1
	       : row->utilization > 100 ? 100
					: row->utilization,
	       seconds);
}

static void remember_all(struct screen *screen, int64_t now)
{
	int64_t passed = screen->answered_at ? (now - screen->answered_at + 500) / 1000 : 1;
	size_t seconds = passed < 1 ? 0 : passed > WATCH_HISTORY ? WATCH_HISTORY : (size_t)passed;

	/* Shorter intervals than a second: the first answer of each second counts. */
	if (seconds == 0)
		return;
	for (size_t i = 0; i < screen->picture.head->rows; i++)
		remember(screen, &screen->picture.rows[i], seconds);
	screen->answered_at = now;
}

/* ---- answers ---- */

static size_t size_of(const struct watch_head *head)
{
	if (head->rows > WATCH_ROWS_MOST || head->waiters > WATCH_ROWS_MOST)
		return 0;
	return sizeof *head + head->rows * sizeof(struct watch_row) +
	       head->waiters * sizeof(struct watch_waiter);
}

/* What is shown stays shown if the driver fails for a while: only a note says so. */
static void take_answer(struct screen *screen, int64_t now)
{
	struct ga_buffer before = screen->answer;
	struct watch_picture *picture = &screen->picture;
	char *data = screen->coming.data;

	screen->answer = screen->coming;
	screen->coming = before;
	screen->coming.size = 0;
	picture->head = (const void *)data;
	picture->rows = (void *)(data + sizeof *picture->head);
	picture->waiters = (const void *)(data + sizeof *picture->head +
					  picture->head->rows * sizeof(struct watch_row));
	remember_all(screen, now);
	screen->is_asking = false;
}

/* True if there is something new to see. */
static bool hear(struct screen *screen, int64_t now)
{
	char part[1 << 14];
	struct watch_head head;
	ssize_t size;

	while ((size = read(screen->from, part, sizeof part)) > 0)
		ga_buffer_append(&screen->coming, part, (size_t)size);
	if (size == 0 || screen->coming.failed) {
		stop_asker(screen);
		screen->ended = !start_asker(screen);
		screen->next_at = now + screen->picture.interval_ms;
		return true;
	}
	if (screen->coming.size < sizeof head)
		return false;
	memcpy(&head, screen->coming.data, sizeof head);
	if (size_of(&head) == 0 || screen->coming.size < size_of(&head))
		return false;
	take_answer(screen, now);
	return true;
}

/* ---- keys ---- */

static void scroll(struct screen *screen, int64_t by)
{
	int64_t to = (int64_t)screen->picture.scroll + by;

	screen->picture.scroll = to > 0 ? (size_t)to : 0;
}

static void take_letter(struct screen *screen, char key, int64_t now)
{
	static const char orders[ORDERS + 1] = "iumns";
	const char *order = key ? strchr(orders, key) : NULL;

	if (order)
		screen->picture.order = (enum watch_order)(order - orders);
	else if (key == 'q' || key == 'Q')
		screen->ended = true;
	else if (key == '?' || key == 'h')
		screen->picture.help = !screen->picture.help;
	else if (key == 'j' || key == 'k')
		scroll(screen, key == 'j' ? 1 : -1);
	else if (key == 'g' || key == 'G')
		screen->picture.scroll = key == 'g' ? 0 : WATCH_ROWS_MOST;
	else if (key == ' ')
		screen->next_at = now;
}

/* The keys that send several bytes; returns how many bytes it took. */
static size_t take_sequence(struct screen *screen, const char *keys, size_t size)
{
	size_t end = 2;
	int64_t page = screen->shown > 1 ? (int64_t)screen->shown - 1 : 1;

	if (size < 3 || (keys[1] != '[' && keys[1] != 'O'))
		return 1;
	while (end < size && (keys[end] < '@' || keys[end] > '~'))
		end++;
	if (keys[2] == 'A' || keys[2] == 'B')
		scroll(screen, keys[2] == 'B' ? 1 : -1);
	if (keys[2] == '5' || keys[2] == '6')
		scroll(screen, keys[2] == '6' ? page : -page);
	return end < size ? end + 1 : size;
}

static void take_keys(struct screen *screen, int64_t now)
{
	char keys[KEYS_SIZE];
	ssize_t size = read(STDIN_FILENO, keys, sizeof keys);

	/* The terminal has gone. */
	if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
		screen->ended = true;
	for (ssize_t at = 0; at < size;)
		if (keys[at] == '\033')
			at += (ssize_t)take_sequence(screen, keys + at, (size_t)(size - at));
		else
			take_letter(screen, keys[at++], now);
}

/* ---- painting ---- */

static void measure(struct watch_picture *picture)
{
	struct winsize size = {0};

	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	picture->columns = size.ws_col ? size.ws_col : 80;
	picture->lines = size.ws_row ? size.ws_row : 24;
}

static void paint(struct screen *screen, int64_t now)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_OUTPUT;
	int64_t silent = screen->is_asking ? now - screen->asked_at : 0;

	screen->picture.silent_ms = silent >= SILENT_MS ? silent : 0;
	measure(&screen->picture);
	screen->shown = watch_paint(&text, &screen->picture);
	if (!text.failed)
		screen->ended |= ga_file_put(STDOUT_FILENO, text.data, text.size) < 0;
}

/* ---- the loop ---- */

/* A resize wants a picture; SIGTERM comes when the guard has ended. */
static void take_signals(struct screen *screen, int signals)
{
	struct signalfd_siginfo info;

	while (read(signals, &info, sizeof info) == (ssize_t)sizeof info)
		screen->ended |= info.ssi_signo == SIGTERM;
}

static int timeout_of(const struct screen *screen, int64_t now)
{
	int64_t at = screen->is_asking ? now + 1000 : screen->next_at;

	return at > now ? (int)(at - now) : 0;
}

static void turn(struct screen *screen, int signals)
{
	struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
			       {.fd = signals, .events = POLLIN},
			       {.fd = screen->from, .events = POLLIN}};
	int64_t now = ga_clock_ms();
	bool is_new = false;
	int ready = poll(fds, 3, timeout_of(screen, now));

	now = ga_clock_ms();
	if (ready > 0 && fds[0].revents)
		take_keys(screen, now);
	if (ready > 0 && fds[1].revents)
		take_signals(screen, signals);
	if (ready > 0 && fds[2].revents)
		is_new = hear(screen, now);
	if (now >= screen->next_at)
		ask(screen, now);
	/* Half an answer, and a question that was asked, are nothing to see. */
	if (!screen->ended && (is_new || (ready > 0 && (fds[0].revents || fds[1].revents)) ||
			       (screen->is_asking && now - screen->asked_at >= SILENT_MS)))
		paint(screen, now);
}

static bool is_plain(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	const char *value = NULL;

	for (size_t i = 0; i < sizeof names / sizeof *names && !(value && *value); i++)
		value = getenv(names[i]);
	return !value || (!strcasestr(value, "utf-8") && !strcasestr(value, "utf8"));
}

static int open_signals(void)
{
	sigset_t set;

	(void)sigfillset(&set);
	(void)sigdelset(&set, SIGSEGV);
	(void)sigdelset(&set, SIGBUS);
	(void)sigdelset(&set, SIGABRT);
	(void)sigprocmask(SIG_SETMASK, &set, NULL);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGWINCH);
	(void)sigaddset(&set, SIGTERM);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int watch_screen(const struct call *call, int64_t interval_ms)
{
	struct screen screen = {.call = call,
				.answer = GA_BUFFER_OUTPUT,
				.coming = GA_BUFFER_OUTPUT,
				.picture = {.interval_ms = interval_ms,
					    .plain = is_plain(),
					    .colour = terminal_of(STDOUT_FILENO).colour}};
	ga_auto_close int signals = open_signals();

	if (signals < 0 || !start_asker(&screen))
		return STATUS_OUTPUT;
	ask(&screen, ga_clock_ms());
	paint(&screen, ga_clock_ms());
	while (!screen.ended)
		turn(&screen, signals);
	stop_asker(&screen);
	ga_buffer_free(&screen.answer);
	ga_buffer_free(&screen.coming);
	free(screen.histories);
	return 0;
}
