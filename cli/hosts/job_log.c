/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that outlive their connection; see job_log.h. */
#include "hosts/job_log.h"

#include "cleanup.h"
#include "fence.h"
#include "leasing.h"
#include "message.h"
#include "orphan.h"
#include "owned.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATUS_UNAVAILABLE = 69, NAME_MOST = 64 };

/* In the orphan. */
enum { KEPT_LEASE = GA_ORPHAN_ANSWER + 1, KEPT_LOG };

/* ---- files ---- */

static int open_below(int folder, const char *name, bool make)
{
	if (make && mkdirat(folder, name, 0700) < 0 && errno != EEXIST)
		return -1;
	return openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int job_log_folder(bool make)
{
	static const char *const below_home[] = {".local", "state", "gpualloc", "log", NULL};
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	const char *const *part = below_home;
	int folder;

	if (state && *state == '/')
		part += 2;
	else if (home && *home == '/')
		state = home;
	else
		errno = ENOENT;
	folder = state ? open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	for (; folder >= 0 && *part; part++) {
		int below = open_below(folder, *part, make), reason = errno;

		close(folder);
		errno = reason;
		folder = below;
	}
	return folder;
}

bool job_log_is_name(const char *name)
{
	size_t size = strlen(name);

	return size > 0 && size <= NAME_MOST &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") ==
		       size;
}

int job_log_create(const char *lease)
{
	ga_auto_close int folder = job_log_folder(true);
	int fd;

	if (folder < 0)
		return -1;
	fd = openat(folder, lease, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)flock(fd, LOCK_EX | LOCK_NB);
	return fd;
}

static void status_name(const char *lease, char name[static NAME_MOST + 16])
{
	(void)snprintf(name, NAME_MOST + 16, "%s.status", lease);
}

static void write_status(const char *lease, int status)
{
	ga_auto_close int folder = job_log_folder(true);
	char name[NAME_MOST + 16];
	int fd;

	status_name(lease, name);
	fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	(void)dprintf(fd, "%d\n", status);
	close(fd);
}

int job_log_status(int folder, const char *lease)
{
	char name[NAME_MOST + 16], text[16];
	ga_auto_close int fd = -1;
	int64_t status;
	ssize_t size;

	status_name(lease, name);
	fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	size = fd < 0 ? -1 : read(fd, text, sizeof text);
	return size > 1 && ga_text_number(text, (size_t)size - 1, 255, &status) ? (int)status : -1;
}

/* ---- the orphan ---- */

static int run_kept(const struct kept_job *job)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	int status = 0, result;

	for (size_t i = 0; job->variables[i]; i++)
		if (putenv(job->variables[i]) != 0)
			return fail_memory();
	result = leasing_hand_on(fcntl(KEPT_LEASE, F_DUPFD_CLOEXEC, 3));
	close(KEPT_LEASE);
	if (result == 0 && job->fenced)
		result = fence_to_environment(job->fenced);
	if (result)
		return result;
	result = gpualloc_program_supervise(job->path, job->words, environ, job->limit_ms, NULL,
					    NULL, &status, error);
	if (result < 0)
		return fail_error(result, error);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* It leaves the session, and what it says goes to the log. */
static int be_kept(void *context, const gpualloc_error *trouble)
{
	const struct kept_job *job = context;
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC), own = (int)getpid(), status;

	if (trouble || nothing < 0 || setsid() < 0 || dup2(nothing, STDIN_FILENO) < 0 ||
	    dup2(KEPT_LOG, STDOUT_FILENO) < 0 || dup2(KEPT_LOG, STDERR_FILENO) < 0)
		return 1;
	close(KEPT_LOG);
	close(nothing);
	(void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
	if (write(GA_ORPHAN_ANSWER, &own, sizeof own) != (ssize_t)sizeof own)
		return 1;
	status = run_kept(job);
	write_status(job->lease, status);
	/* If nobody is connected any more, nobody hears it. */
	(void)!write(GA_ORPHAN_ANSWER, &status, sizeof status);
	return 0;
}

int job_log_start(struct kept_job *job, int lease, int *ret_status, int *ret_pid)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_auto_close int log = job_log_create(job->lease);
	int ends[2], result;

	if (log < 0)
		return fail(STATUS_UNAVAILABLE,
			    "--keep cannot write a log in ~/.local/state/gpualloc/log: %s",
			    strerror(errno));
	if (pipe2(ends, O_CLOEXEC) < 0)
		return fail(STATUS_UNAVAILABLE, "cannot make a pipe: %s", strerror(errno));
	result = ga_orphan_start_with(be_kept, job, (const int[]){ends[1], lease, log}, 3, error);
	close(ends[1]);
	if (result == 0 &&
	    ga_orphan_read(ends[0], ret_pid, sizeof *ret_pid) == (ssize_t)sizeof *ret_pid) {
		*ret_status = ends[0];
		return 0;
	}
	close(ends[0]);
	return result < 0
		       ? fail_error(result, error)
		       : fail(STATUS_UNAVAILABLE, "the process that keeps the job did not start");
}
