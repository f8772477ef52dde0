/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard of list --watch. It has the terminal as it was, starts the painter, and puts the
 * terminal back when the painter has ended, by itself, by a signal or by a crash. If the guard is
 * killed, the painter does it.
 */
#include "watch.h"

#include "duration.h"
#include "file.h"
#include "message.h"
#include "options.h"
#include "waiting.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { INTERVAL_MS = 2000, INTERVAL_LEAST_MS = 200 };

/* The other screen of the terminal, without a cursor; and back, with all attributes off. */
static const char enter[] = "\033[?1049h\033[?25l\033[2J";
static const char leave[] = "\033[0m\033[?25h\033[?1049l";

struct guard {
	struct termios before;
	pid_t painter;
	sigset_t signals, mask_before;
};

static void take_terminal(const struct guard *guard)
{
	struct termios raw = guard->before;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	(void)ga_file_put(STDOUT_FILENO, enter, sizeof enter - 1);
}

/* Also from the background: SIGTTOU would stop it before it is done. */
static void give_terminal_back(const struct guard *guard)
{
	(void)ga_file_put(STDOUT_FILENO, leave, sizeof leave - 1);
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &guard->before);
}

static void block_signals(struct guard *guard)
{
	static const int taken[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGTSTP,
				    SIGCHLD, SIGTTOU, SIGPIPE, SIGTTIN};

	(void)sigemptyset(&guard->signals);
	for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
		(void)sigaddset(&guard->signals, taken[i]);
	(void)sigprocmask(SIG_BLOCK, &guard->signals, &guard->mask_before);
}

_Noreturn static void be_painter(const struct guard *guard, const struct call *call,
				 int64_t interval_ms, pid_t parent)
{
	int result;

	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	result = getppid() == parent ? watch_screen(call, interval_ms) : 0;
	if (getppid() != parent)
		give_terminal_back(guard);
	_exit(result);
}

/* Ctrl-Z: the shell gets the terminal as it was, and gives it again with fg. */
static void stop(const struct guard *guard)
{
	(void)kill(guard->painter, SIGSTOP);
	give_terminal_back(guard);
	(void)raise(SIGSTOP);
	take_terminal(guard);
	(void)kill(guard->painter, SIGCONT);
	(void)kill(guard->painter, SIGWINCH);
}

/* Whether the painter has ended, and how. */
static bool has_ended(const struct guard *guard, int *ret_status)
{
	return waitpid(guard->painter, ret_status, WNOHANG) == guard->painter;
}

/* The signal that ends us, or 0 if the painter has ended. */
static int stand(const struct guard *guard, int *ret_status)
{
	for (;;) {
		int number = sigwaitinfo(&guard->signals, NULL);

		if (number == SIGCHLD && has_ended(guard, ret_status))
			return 0;
		if (number == SIGTSTP)
			stop(guard);
		if (number == SIGINT || number == SIGTERM || number == SIGHUP ||
		    number == SIGQUIT) {
			(void)kill(guard->painter, SIGKILL);
			(void)waitpid(guard->painter, ret_status, 0);
			return number;
		}
	}
}

static int end_as(const struct guard *guard, int number, int status)
{
	(void)sigprocmask(SIG_SETMASK, &guard->mask_before, NULL);
	if (number) {
		die_by(number);
		return 128 + number;
	}
	if (WIFSIGNALED(status))
		return fail(128 + WTERMSIG(status),
			    "the process that painted the screen was ended by SIG%s",
			    sigabbrev_np(WTERMSIG(status)));
	return WEXITSTATUS(status);
}

static int read_interval(const struct call *call, int64_t *ret_ms)
{
	const char *word = call->value[OPTION_INTERVAL];
	int result = 0;

	*ret_ms = INTERVAL_MS;
	if (word)
		result = duration_read(call, "--interval", word, 60 * 60 * 1000, ret_ms);
	if (result == 0 && *ret_ms < INTERVAL_LEAST_MS)
		return fail_usage(call->command, "--interval: the shortest is %dms",
				  INTERVAL_LEAST_MS);
	return result;
}

static int check(const struct call *call)
{
	if (call->value[OPTION_JSON] || call->value[OPTION_CSV])
		return fail_usage(call->command, "--watch is for people; programs call `gpualloc "
						 "list --json` again and again");
	if (call->value[OPTION_FREE] || call->value[OPTION_MINE] || call->value[OPTION_USER] ||
	    call->value[OPTION_VERBOSE])
		return fail_usage(call->command, "--watch shows all devices, in an order that keys "
						 "change; leave out --free, --mine, --user and -v");
	if (isatty(STDOUT_FILENO) == 1 && isatty(STDIN_FILENO) == 1)
		return 0;
	return fail_usage(call->command,
			  "--watch paints on a terminal and reads its keys, and this is none; use "
			  "`gpualloc list`, or `gpualloc list --json` in a script");
}

int watch(const struct call *call)
{
	struct guard guard;
	pid_t parent = getpid();
	int64_t interval_ms;
	int status = 0, number, result = check(call);

	if (result == 0)
		result = read_interval(call, &interval_ms);
	if (result)
		return result;
	if (tcgetattr(STDIN_FILENO, &guard.before) < 0)
		return fail(STATUS_OUTPUT, "--watch: the terminal does not say how it is set: %s",
			    strerror(errno));
	block_signals(&guard);
	take_terminal(&guard);
	guard.painter = fork();
	if (guard.painter == 0)
		be_painter(&guard, call, interval_ms, parent);
	if (guard.painter < 0) {
		give_terminal_back(&guard);
		(void)sigprocmask(SIG_SETMASK, &guard.mask_before, NULL);
		return fail(STATUS_OUTPUT, "--watch: no process can be started: %s",
			    strerror(errno));
	}
	number = stand(&guard, &status);
	give_terminal_back(&guard);
	return end_as(&guard, number, status);
}
