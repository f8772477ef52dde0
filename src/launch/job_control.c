/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals and stopped jobs; see job_control.h. */
#include "job_control.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

void ga_terminal_open(struct ga_terminal *terminal)
{
	terminal->fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
}

void ga_terminal_close(struct ga_terminal *terminal)
{
	if (terminal->fd >= 0)
		close(terminal->fd);
	terminal->fd = -1;
}

bool ga_terminal_is_ours(const struct ga_terminal *terminal)
{
	return terminal->fd >= 0 && tcgetpgrp(terminal->fd) == getpgrp();
}

void ga_terminal_give(const struct ga_terminal *terminal, pid_t group)
{
	if (terminal->fd >= 0)
		(void)tcsetpgrp(terminal->fd, group);
}

void ga_terminal_take_back(const struct ga_terminal *terminal, pid_t group)
{
	if (terminal->fd >= 0 && tcgetpgrp(terminal->fd) == group)
		ga_terminal_give(terminal, getpgrp());
}

void ga_job_continue(const struct ga_terminal *terminal, pid_t group)
{
	if (ga_terminal_is_ours(terminal))
		ga_terminal_give(terminal, group);
	(void)kill(-group, SIGCONT);
}

/*
 * Stops this process's whole group: a script that started us has to stop too, or its shell would
 * not notice. Returns whether it was stopped: the kernel does not stop a group without a shell to
 * look after it.
 */
static bool stop_group(int signal)
{
	struct sigaction usual = {.sa_handler = SIG_DFL}, before;
	sigset_t one, old, pending;

	(void)sigemptyset(&one);
	(void)sigaddset(&one, signal);
	(void)sigaction(signal, &usual, &before);
	(void)kill(0, signal);
	(void)sigprocmask(SIG_UNBLOCK, &one, &old);
	/* It stops here and is continued. */
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	(void)sigaction(signal, &before, NULL);
	(void)sigpending(&pending);
	return sigismember(&pending, SIGCONT) == 1;
}

void ga_job_stopped(const struct ga_terminal *terminal, pid_t group, int signal)
{
	/* A job stopped by hand can be continued by hand, with or without a shell. */
	bool by_hand = signal == SIGSTOP;

	if (stop_group(by_hand ? SIGTSTP : signal))
		return; /* SIGCONT is pending, and then the job continues */
	if (by_hand)
		return;
	if (signal == SIGTTIN || signal == SIGTTOU) {
		/*
		 * It wants a terminal that belongs to another group, and nobody can ever give it.
		 * The kernel treats such groups the same way.
		 */
		if (!ga_terminal_is_ours(terminal))
			(void)kill(-group, SIGHUP);
	}
	ga_job_continue(terminal, group);
}
