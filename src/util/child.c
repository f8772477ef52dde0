/* SPDX-License-Identifier: Apache-2.0 */
/* Work in a child with a deadline; see child.h. */
#include "child.h"

#include "cleanup.h"
#include "clock.h"
#include "descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ERRORS_LIMIT = 1 << 16, STATUS_OPEN = 125 };

/* What a child writes, and the status it ends with, if it cannot close what its parent has open. */
static const char still_open[] = "gpualloc: cannot close inherited descriptors: ";

void ga_child_result_free(struct ga_child_result *result)
{
	ga_buffer_free(&result->output);
	ga_buffer_free(&result->errors);
}

/*
 * If the parent has already gone, nobody wants the answer. The first process of a pid namespace has
 * no parent in it.
 */
static void end_with(pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent && getppid() != 0)
		_exit(126);
}

static void close_the_rest(void)
{
	int result = ga_descriptors_close(3);

	if (result == 0)
		return;
	(void)dprintf(2, "%s%s", still_open, strerror(-result));
	_exit(STATUS_OPEN);
}

/*
 * In the child: descriptor 0 is empty, 1 and 2 are the pipes, nothing else is open, and signals
 * have their defaults. err -1: 2 is /dev/null.
 */
static void isolate(int out, int err)
{
	sigset_t none;
	int null;

	/* The pipes' own numbers may be 0, 1 or 2 if the caller had closed those. */
	null = open("/dev/null", O_RDWR);
	out = fcntl(out, F_DUPFD, 3);
	err = fcntl(err < 0 ? null : err, F_DUPFD, 3);
	if (out < 0 || err < 0 || null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 ||
	    dup2(err, 2) < 0)
		_exit(126);
	close_the_rest();
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int take(int *fd, struct ga_buffer *buffer, bool keep_all)
{
	char chunk[1 << 14];
	ssize_t got = read(*fd, chunk, sizeof chunk);

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (got <= 0) {
		close(*fd);
		*fd = -1;
		return 0;
	}
	if ((size_t)got > buffer->limit - buffer->size) {
		if (keep_all)
			return -1;
		got = (ssize_t)(buffer->limit - buffer->size);
	}
	ga_buffer_append(buffer, chunk, (size_t)got);
	return 0;
}

/* Reads both pipes to their end: 0, or -ETIMEDOUT, -EFBIG, -ENOMEM, -errno. */
static int collect(int out, int err, int64_t until, struct ga_child_result *result)
{
	struct pollfd fds[2] = {{.fd = out, .events = POLLIN}, {.fd = err, .events = POLLIN}};
	int failure = 0;

	while (!failure && (fds[0].fd >= 0 || fds[1].fd >= 0)) {
		int64_t left = until - ga_clock_ms();
		int ready = poll(fds, 2, left > 0 ? (int)left : 0);

		if (ready < 0 && errno != EINTR)
			failure = -errno;
		else if (ready == 0 && left <= 0)
			failure = -ETIMEDOUT;
		else if (ready > 0 && fds[0].revents && take(&fds[0].fd, &result->output, true) < 0)
			failure = -EFBIG;
		else if (ready > 0 && fds[1].revents)
			(void)take(&fds[1].fd, &result->errors, false);
		if (result->output.failed || result->errors.failed)
			failure = -ENOMEM;
	}
	for (int i = 0; i < 2; i++)
		if (fds[i].fd >= 0)
			close(fds[i].fd);
	return failure;
}

enum ending { RUNS, ENDED, REAPED_BY_OTHERS };

/* Whether the child ends before the time is up. Its number stays its own until it is reaped. */
static enum ending await_end(pid_t child, int64_t until)
{
	struct timespec pause = {.tv_nsec = 200000};

	for (;;) {
		siginfo_t info = {.si_pid = 0};
		int result = waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT);

		if (result == 0 && info.si_pid == child)
			return ENDED;
		if (result < 0 && errno != EINTR)
			return REAPED_BY_OTHERS;
		if (ga_clock_ms() >= until)
			return RUNS;
		(void)nanosleep(&pause, NULL);
		if (pause.tv_nsec < 10000000)
			pause.tv_nsec *= 2;
	}
}

/*
 * Whether the child was reaped before the time was up. The status is -1 if somebody else reaped it.
 */
static bool reap(pid_t child, int64_t until, int *ret_status)
{
	if (await_end(child, until) == RUNS)
		return false;
	if (waitpid(child, ret_status, WNOHANG) != child)
		*ret_status = -1;
	return true;
}

/* Nothing was asked, because a child that hangs would keep this process's leases alive. */
static bool has_stayed_open(const struct ga_child_result *result)
{
	return result->exit_status == STATUS_OPEN && result->errors.data &&
	       strncmp(result->errors.data, still_open, sizeof still_open - 1) == 0;
}

static int parent_side(const char *name, pid_t child, int out, int err, unsigned deadline_ms,
		       struct ga_child_result *result, gpualloc_error *error)
{
	int64_t until = ga_clock_ms() + deadline_ms;
	int failure = collect(out, err, until, result);
	int status = 0;

	/* Its output is complete once the pipes are closed; it only has to end now. */
	if (!failure && !reap(child, until, &status))
		failure = -ETIMEDOUT;
	if (failure) {
		(void)kill(child, SIGKILL);
		(void)reap(child, ga_clock_ms() + 100, &status);
	}
	if (failure == -EFBIG)
		return ga_error_set(error, GPUALLOC_EDATA, "%s: printed more than %zu bytes", name,
				    result->output.limit);
	if (failure == -ENOMEM)
		return ga_error_memory(error);
	if (failure && failure != -ETIMEDOUT)
		return ga_error_errno(error, GPUALLOC_EIO, -failure, "%s", name);
	result->timed_out = failure == -ETIMEDOUT;
	result->exit_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	if (has_stayed_open(result))
		return ga_error_set(
			error, GPUALLOC_EIO,
			"%s: not asked, because a child process could not close the descriptors "
			"and leases of this one: this needs Linux 5.9 or later, for "
			"close_range(), or /proc",
			name);
	return 0;
}

int ga_child_call(const char *name, int (*work)(void *context, int out), void *context,
		  unsigned deadline_ms, size_t limit, struct ga_child_result *ret_result,
		  gpualloc_error *error)
{
	ga_auto_child struct ga_child_result result = {.output = GA_BUFFER_INIT(limit),
						       .errors = GA_BUFFER_INIT(ERRORS_LIMIT)};
	int out[2], err[2], status;
	pid_t child, parent = getpid();

	if (pipe2(out, O_CLOEXEC) < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "%s: cannot make a pipe", name);
	if (pipe2(err, O_CLOEXEC) < 0) {
		status = errno;
		close(out[0]);
		close(out[1]);
		return ga_error_errno(error, GPUALLOC_EIO, status, "%s: cannot make a pipe", name);
	}
	child = fork();
	if (child == 0) {
		end_with(parent);
		isolate(out[1], err[1]);
		_exit(work(context, 1));
	}
	status = errno;
	close(out[1]);
	close(err[1]);
	if (child < 0) {
		close(out[0]);
		close(err[0]);
		return ga_error_errno(error, GPUALLOC_EIO, status, "%s: cannot start a process",
				      name);
	}
	status = parent_side(name, child, out[0], err[0], deadline_ms, &result, error);
	if (status < 0)
		return status;
	*ret_result = result;
	result = (struct ga_child_result){0};
	return 0;
}

int ga_child_start(const char *name, int (*work)(void *context, int out), void *context,
		   struct ga_child *ret_child, gpualloc_error *error)
{
	pid_t child, parent = getpid();
	int out[2], status;

	if (pipe2(out, O_CLOEXEC) < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "%s: cannot make a pipe", name);
	child = fork();
	if (child == 0) {
		end_with(parent);
		(void)setpgid(0, 0);
		isolate(out[1], -1);
		_exit(work(context, 1));
	}
	status = errno;
	close(out[1]);
	if (child < 0) {
		close(out[0]);
		return ga_error_errno(error, GPUALLOC_EIO, status, "%s: cannot start a process",
				      name);
	}
	/* The child does it too: neither waits for the other. */
	(void)setpgid(child, child);
	*ret_child = (struct ga_child){.pid = child, .out = out[0]};
	return 0;
}

void ga_child_kill(const struct ga_child *child)
{
	if (child->pid <= 0)
		return;
	(void)kill(child->pid, SIGKILL);
	(void)kill(-child->pid, SIGKILL);
}

int ga_child_stop(struct ga_child *child, int64_t until_ms)
{
	int status = 0;
	bool reaped;

	if (child->pid == 0)
		return 0;
	/* Once others have reaped it, its number may be somebody else's. */
	if (await_end(child->pid, until_ms) != REAPED_BY_OTHERS)
		ga_child_kill(child);
	reaped = reap(child->pid, ga_clock_ms() + 100, &status);
	close(child->out);
	*child = (struct ga_child){0};
	if (!reaped)
		return -1;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int ga_child_execute(const char *const argv[])
{
	/* execvp() does not write to its strings; its prototype is older than const. */
	union {
		const char *const *given;
		char *const *wanted;
	} arguments = {.given = argv};

	if (setenv("LC_ALL", "C", 1) < 0)
		return 126;
	execvp(argv[0], arguments.wanted);
	(void)dprintf(2, "%s", strerror(errno));
	return errno == ENOENT || errno == ENOTDIR ? 127 : 126;
}

static int execute(void *context, int out)
{
	(void)out;
	return ga_child_execute(context);
}

int ga_child_run(const char *const argv[], unsigned deadline_ms, size_t limit,
		 struct ga_child_result *ret_result, gpualloc_error *error)
{
	/* execvp() does not write to its strings; its prototype is older than const. */
	union {
		const char *const *given;
		void *wanted;
	} arguments = {.given = argv};

	return ga_child_call(argv[0], execute, arguments.wanted, deadline_ms, limit, ret_result,
			     error);
}
