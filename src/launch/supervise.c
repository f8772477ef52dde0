/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor; see supervise.h. It has no handlers: every signal it cares about is blocked and
 * taken one at a time, so nothing can interrupt it.
 */
#include "supervise.h"

#include "children.h"
#include "cleanup.h"
#include "clock.h"
#include "job_control.h"
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

enum { GRACE_MS = 10000, AGAIN_MS = 200 };

/* Signals that people send to a command, and would now send to its supervisor. */
static const int passed_on[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
				SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH};
enum { PASSED_ON = sizeof passed_on / sizeof *passed_on };

enum phase {
	PHASE_RUNNING,
	PHASE_ASKED,  /* the time is up, or Ctrl-C: SIGTERM was sent, the grace period runs */
	PHASE_KILLING /* SIGKILL, to all that are left */
};

struct supervisor {
	struct ga_terminal terminal;
	const struct ga_supervision *how;
	sigset_t taken;                /* what sigtimedwait() waits for */
	sigset_t before;               /* the mask and … */
	struct sigaction child_before; /* … what SIGCHLD did, for the command */
	pid_t job;                     /* the command, and the number of its group */
	bool job_ended;
	int status; /* the command's, as waitpid() has it */
	enum phase phase;
	int64_t deadline; /* of this phase; -1 if there is none */
};

/* ---- signals ---- */

/* An ignored signal stays ignored, here and in the command: nohup, or a shell's background job. */
static bool is_ignored(int signal)
{
	struct sigaction action;

	return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void take_signals(struct supervisor *supervisor)
{
	struct sigaction usual = {.sa_handler = SIG_DFL};
	sigset_t blocked;

	(void)sigemptyset(&supervisor->taken);
	for (size_t i = 0; i < PASSED_ON; i++)
		if (!is_ignored(passed_on[i]))
			(void)sigaddset(&supervisor->taken, passed_on[i]);
	if (!is_ignored(SIGTSTP))
		(void)sigaddset(&supervisor->taken, SIGTSTP);
	(void)sigaddset(&supervisor->taken, SIGCONT);
	(void)sigaddset(&supervisor->taken, SIGCHLD);
	blocked = supervisor->taken;
	(void)sigaddset(&blocked, SIGTTOU);
	(void)sigaddset(&blocked, SIGTTIN);
	/* If it were ignored, the children's statuses would be lost. */
	(void)sigaction(SIGCHLD, &usual, &supervisor->child_before);
	(void)sigprocmask(SIG_BLOCK, &blocked, &supervisor->before);
}

static void give_signals_back(const struct supervisor *supervisor)
{
	(void)sigaction(SIGCHLD, &supervisor->child_before, NULL);
	(void)sigprocmask(SIG_SETMASK, &supervisor->before, NULL);
}

static void signal_all(const struct supervisor *supervisor, int signal)
{
	ga_children_signal(supervisor->job, signal, 0);
}

/*
 * The terminal's signals go to the group; signals that somebody sends to our pid go to the command.
 */
static void pass_on(const struct supervisor *supervisor, const siginfo_t *info)
{
	if (supervisor->job_ended)
		signal_all(supervisor, info->si_signo);
	else if (info->si_code == SI_KERNEL || info->si_signo == SIGTSTP)
		(void)kill(-supervisor->job, info->si_signo);
	else
		(void)kill(supervisor->job, info->si_signo);
}

/* ---- time ---- */

static void ask_to_end(struct supervisor *supervisor)
{
	ga_children_signal(supervisor->job, SIGTERM, SIGCONT);
	supervisor->phase = PHASE_ASKED;
	supervisor->deadline = ga_clock_ms() + GRACE_MS;
}

static void time_is_up(struct supervisor *supervisor)
{
	if (supervisor->phase == PHASE_RUNNING) {
		if (supervisor->how->tell)
			supervisor->how->tell(supervisor->how->context,
					      GPUALLOC_SUPERVISE_TIME_LIMIT);
		ask_to_end(supervisor);
		return;
	}
	/* Repeated, because the children of a killed process become children of this one. */
	signal_all(supervisor, SIGKILL);
	supervisor->phase = PHASE_KILLING;
	supervisor->deadline = ga_clock_ms() + AGAIN_MS;
}

/*
 * Ctrl-C when only processes that the job left behind are there. What a shell starts in the
 * background ignores SIGINT, so SIGINT alone is not enough. A second Ctrl-C kills.
 */
static void interrupt_what_is_left(struct supervisor *supervisor)
{
	if (supervisor->phase != PHASE_RUNNING) {
		time_is_up(supervisor);
		return;
	}
	signal_all(supervisor, SIGINT);
	ask_to_end(supervisor);
}

static bool is_ctrl_c(const siginfo_t *info)
{
	return info->si_signo == SIGINT && info->si_code == SI_KERNEL;
}

/* Whoever starts a supervisor may have SIGTERM sent when a descriptor hangs up (F_SETSIG): there is
 * nobody any more who could come back with SIGKILL. */
static bool is_hangup(const siginfo_t *info)
{
	return info->si_signo == SIGTERM && info->si_code == POLL_HUP;
}

static void hung_up(struct supervisor *supervisor)
{
	if (supervisor->phase == PHASE_RUNNING)
		ask_to_end(supervisor);
}

/* The next signal; 0 when the time of this phase is up. */
static int next_signal(const struct supervisor *supervisor, siginfo_t *info)
{
	for (;;) {
		int64_t left = supervisor->deadline - ga_clock_ms();
		struct timespec wait = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
		int signal;

		if (supervisor->deadline < 0)
			signal = sigwaitinfo(&supervisor->taken, info);
		else if (left <= 0)
			return 0;
		else
			signal = sigtimedwait(&supervisor->taken, info, &wait);
		if (signal > 0)
			return signal;
		if (errno == EAGAIN)
			return 0;
	}
}

/* ---- the job ---- */

/*
 * In the child: the signals as before, a process group of its own, and the terminal if it was ours.
 */
static void become_job(struct supervisor *supervisor, const char *path, char *const *arguments,
		       char *const *environment, bool foreground, int report)
{
	int reason;

	(void)setpgid(0, 0);
	if (foreground)
		ga_terminal_give(&supervisor->terminal, getpid());
	give_signals_back(supervisor);
	reason = ga_program_become(path, arguments, environment);
	(void)!write(report, &reason, sizeof reason);
	_exit(126); /* never seen: the parent reads the report */
}

/* 0, or the errno with which starting the program failed. */
static int read_report(int report)
{
	int reason = 0;
	ssize_t size;

	do
		size = read(report, &reason, sizeof reason);
	while (size < 0 && errno == EINTR);
	return size == (ssize_t)sizeof reason ? reason : 0;
}

static int start(struct supervisor *supervisor, const char *path, char *const *arguments,
		 char *const *environment, gpualloc_error *error)
{
	bool foreground = ga_terminal_is_ours(&supervisor->terminal);
	int report[2], reason;

	if (pipe2(report, O_CLOEXEC) < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "cannot supervise");
	supervisor->job = fork();
	if (supervisor->job == 0)
		become_job(supervisor, path, arguments, environment, foreground, report[1]);
	reason = errno;
	close(report[1]);
	if (supervisor->job > 0) {
		/* Parent and child both do it, so it is done before either goes on. */
		(void)setpgid(supervisor->job, supervisor->job);
		if (foreground)
			ga_terminal_give(&supervisor->terminal, supervisor->job);
		reason = read_report(report[0]);
	}
	close(report[0]);
	if (supervisor->job < 0)
		return ga_error_errno(error, GPUALLOC_EIO, reason, "cannot start a process");
	if (reason == 0)
		return 0;
	(void)waitpid(supervisor->job, NULL, 0);
	ga_terminal_take_back(&supervisor->terminal, supervisor->job);
	return ga_program_refused(path, reason, error);
}

static void job_has_ended(struct supervisor *supervisor, int status)
{
	supervisor->job_ended = true;
	supervisor->status = status;
	ga_terminal_take_back(&supervisor->terminal, supervisor->job);
}

static void act_on(struct supervisor *supervisor, int signal, const siginfo_t *info)
{
	if (signal == SIGCONT && !supervisor->job_ended)
		ga_job_continue(&supervisor->terminal, supervisor->job);
	else if (supervisor->job_ended && is_ctrl_c(info))
		interrupt_what_is_left(supervisor);
	else if (is_hangup(info))
		hung_up(supervisor);
	else if (signal != SIGCHLD && signal != SIGCONT)
		pass_on(supervisor, info);
}

/*
 * Whether the job was sent something that ends it before this process knew that it had stopped. It
 * counts as sent to a running job: the sender saw one, so nobody would come back to continue it.
 */
static bool was_told_to_end(struct supervisor *supervisor)
{
	static const int endings[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
	const struct timespec now = {0};
	sigset_t waiting;
	siginfo_t info;
	bool told = false;
	int signal;

	(void)sigemptyset(&waiting);
	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
		if (sigismember(&supervisor->taken, endings[i]) == 1)
			(void)sigaddset(&waiting, endings[i]);
	while ((signal = sigtimedwait(&waiting, &info, &now)) > 0) {
		act_on(supervisor, signal, &info);
		told = true;
	}
	return told;
}

static void job_has_stopped(struct supervisor *supervisor, int signal)
{
	if (supervisor->phase != PHASE_RUNNING)
		return;
	if (was_told_to_end(supervisor))
		(void)kill(-supervisor->job, SIGCONT);
	else
		ga_job_stopped(&supervisor->terminal, supervisor->job, signal);
}

/* Collects the statuses of children; false when there are none left. */
static bool look_after_children(struct supervisor *supervisor)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG | WUNTRACED);

		if (pid == 0)
			return true;
		if (pid < 0)
			return errno == EINTR;
		if (WIFSTOPPED(status)) {
			if (pid == supervisor->job)
				job_has_stopped(supervisor, WSTOPSIG(status));
		} else if (pid == supervisor->job) {
			job_has_ended(supervisor, status);
		}
	}
}

static void stay(struct supervisor *supervisor)
{
	bool told = false;

	while (look_after_children(supervisor)) {
		siginfo_t info;
		int signal;

		if (supervisor->job_ended && !told && supervisor->how->tell)
			supervisor->how->tell(supervisor->how->context,
					      GPUALLOC_SUPERVISE_LEFT_BEHIND);
		told = supervisor->job_ended;
		signal = next_signal(supervisor, &info);
		if (signal == 0)
			time_is_up(supervisor);
		else
			act_on(supervisor, signal, &info);
	}
}

int ga_supervise(const char *path, char *const *arguments, char *const *environment,
		 const struct ga_supervision *how, int *ret_status, gpualloc_error *error)
{
	struct supervisor supervisor = {.how = how, .deadline = -1};
	int result;

	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "cannot supervise");
	ga_terminal_open(&supervisor.terminal);
	take_signals(&supervisor);
	result = start(&supervisor, path, arguments, environment, error);
	if (result == 0) {
		if (how->time_limit_ms > 0)
			supervisor.deadline = ga_clock_ms() + how->time_limit_ms;
		stay(&supervisor);
		*ret_status = supervisor.status;
	}
	give_signals_back(&supervisor);
	ga_terminal_close(&supervisor.terminal);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
	return result;
}
