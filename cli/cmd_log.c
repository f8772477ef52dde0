/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc log: what a job that was started with --keep has printed. */
#include "cleanup.h"
#include "file.h"
#include "hosts/job_log.h"
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { STATUS_NO_LOG = 77, PART = 1 << 16, LOOK_MS = 1000 };

static int copy(int log)
{
	static char part[PART];
	ssize_t size;

	while ((size = read(log, part, sizeof part)) > 0) {
		int result = ga_file_put(STDOUT_FILENO, part, (size_t)size);

		if (result < 0)
			return fail(STATUS_OUTPUT, "cannot write the log: %s", strerror(-result));
	}
	return 0;
}

/* Whether nobody can write to it any more. */
static bool has_ended(int log)
{
	return flock(log, LOCK_SH | LOCK_NB) == 0;
}

/* Until nobody can write any more, and all that was written has been copied. */
static int follow(int log)
{
	ga_auto_close int events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[32];
	int result = 0;

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", log);
	if (events >= 0)
		(void)inotify_add_watch(events, path, IN_MODIFY | IN_CLOSE_WRITE);
	while (result == 0) {
		struct pollfd fd = {events, POLLIN, 0};
		bool ended = has_ended(log);
		char word[4096];

		result = copy(log);
		if (ended)
			break;
		/* The lock goes without an event of its own. */
		(void)poll(&fd, 1, LOOK_MS);
		while (events >= 0 && read(events, word, sizeof word) > 0)
			;
	}
	return result;
}

static int run(const struct call *call)
{
	const char *lease = call->operands[0];
	ga_auto_close int folder = -1, log = -1;
	int status, result;

	if (job_log_is_name(lease))
		folder = job_log_folder(false);
	if (folder >= 0)
		log = openat(folder, lease, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (log < 0)
		return fail(STATUS_NO_LOG,
			    "there is no log of a lease \"%s\"; gpualloc run --on HOST --keep "
			    "writes one",
			    lease);
	result = call->value[OPTION_FOLLOW] ? follow(log) : copy(log);
	status = job_log_status(folder, lease);
	if (result == 0 && !call->value[OPTION_QUIET] && status >= 0)
		say("note: the command ended with status %d", status);
	else if (result == 0 && !call->value[OPTION_QUIET] && has_ended(log))
		say("note: the command ended, and its status is not known");
	return result;
}

const struct command command_log = {
	.name = "log",
	.sentence = "what a job that goes on without you has printed",
	.description =
		"Prints the output of a command that `run --on HOST --keep` started here. With "
		"--follow it goes on until the command has ended. Logs are in "
		"~/.local/state/gpualloc/log, one a lease; remove those that you do not need.",
	.example = "gpualloc log --help",
	.operand = "LEASE",
	.operands_least = 1,
	.operands_most = 1,
	.complete = COMPLETE_LEASE,
	.options = (const enum option_id[]){OPTION_FOLLOW, OPTION_HELP, OPTION_JSON, OPTION_ON,
					    OPTION_QUIET, OPTION_END},
	.run = run,
};
