/* SPDX-License-Identifier: Apache-2.0 */
/* Starts gpualloc for a session. What a child inherits is named here and nothing else is. */
#include "mcp/start.h"

#include "agent.h"
#include "descriptors.h"
#include "mcp/minder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a child has open, in this order and from 0 on. */
enum { CHILD_TETHER = 3, CHILD_DESCRIPTORS = 4, STATUS_NOT_STARTED = 126 };

struct child {
	char **words;
	const char *agent;
	const char *folder;
	int fds[CHILD_DESCRIPTORS]; /* -1: closed */
	const sigset_t *mask;
};

/* Ignored signals would stay ignored in jobs. */
static void reset_signals(const struct child *child)
{
	(void)signal(SIGPIPE, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, child->mask, NULL);
}

static bool take_descriptors(const struct child *child)
{
	enum { ABOVE = 16 };
	int moved[CHILD_DESCRIPTORS];

	for (int i = 0; i < CHILD_DESCRIPTORS; i++) {
		moved[i] = child->fds[i] < 0 ? -1 : fcntl(child->fds[i], F_DUPFD_CLOEXEC, ABOVE);
		if (child->fds[i] >= 0 && moved[i] < 0)
			return false;
	}
	for (int i = 0; i < CHILD_DESCRIPTORS; i++)
		if (moved[i] >= 0 && dup2(moved[i], i) < 0)
			return false;
	return ga_descriptors_close(child->fds[CHILD_TETHER] < 0 ? CHILD_TETHER
								 : CHILD_DESCRIPTORS) == 0;
}

_Noreturn static void become(const struct child *child)
{
	if (take_descriptors(child) && (!child->folder || chdir(child->folder) == 0) &&
	    setenv("GPUALLOC_AGENT", child->agent, 0) == 0) {
		reset_signals(child);
		(void)execv("/proc/self/exe", child->words);
	}
	dprintf(STDERR_FILENO,
		"{\"schema\":1,\"error\":{\"status\":%d,\"kind\":\"io\",\"message\":\"cannot start: "
		"%s\"}}\n",
		STATUS_NOT_STARTED, strerror(errno));
	_exit(STATUS_NOT_STARTED);
}

static pid_t start(const struct child *child)
{
	pid_t pid = fork();

	if (pid == 0)
		become(child);
	return pid;
}

static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* What stands before the words of a command. */
enum prefix { PREFIX_NONE, PREFIX_ENDS, PREFIX_STAYS, PREFIX_MINDER };

/* "gpualloc [--agent 3 ends|stays] WORDS...", or for a minder "gpualloc --mind 3 WORDS...". */
static char **command_line(const struct words *words, enum prefix prefix)
{
	static char name[] = "gpualloc", tether[] = "3", agent[] = AGENT_WORD, ends[] = AGENT_ENDS,
		    stays[] = AGENT_STAYS, minder[] = MINDER_WORD;
	char **list = calloc(words->count + 5, sizeof *list);
	size_t count = 0;

	if (!list)
		return NULL;
	list[count++] = name;
	if (prefix != PREFIX_NONE) {
		list[count++] = prefix == PREFIX_MINDER ? minder : agent;
		list[count++] = tether;
	}
	if (prefix == PREFIX_ENDS || prefix == PREFIX_STAYS)
		list[count++] = prefix == PREFIX_ENDS ? ends : stays;
	memcpy(list + count, words->list, words->count * sizeof *list);
	return list;
}

/* The ends that stay here come first. */
static bool make_ends(int pipes[2][2], int tether[2], bool has_tether)
{
	tether[0] = tether[1] = -1;
	if (pipe2(pipes[0], O_CLOEXEC) < 0)
		return false;
	if (pipe2(pipes[1], O_CLOEXEC) < 0) {
		close_all(pipes[0], 2);
		return false;
	}
	if (has_tether && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, tether) < 0) {
		close_all(pipes[0], 2);
		close_all(pipes[1], 2);
		return false;
	}
	(void)fcntl(pipes[0][0], F_SETFL, O_NONBLOCK);
	(void)fcntl(pipes[1][0], F_SETFL, O_NONBLOCK);
	return true;
}

bool start_process(const struct starter *starter, struct process *process,
		   const struct words *words, bool has_tether, bool stays)
{
	ga_auto_free char **line = command_line(words, !has_tether ? PREFIX_NONE
						       : stays     ? PREFIX_STAYS
								   : PREFIX_ENDS);
	ga_auto_close int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int pipes[2][2], tether[2];
	struct child child = {.words = line, .agent = starter->agent, .mask = starter->mask};

	if (!line || nothing < 0 || !make_ends(pipes, tether, has_tether))
		return false;
	memcpy(child.fds, (int[]){nothing, pipes[0][1], pipes[1][1], tether[1]}, sizeof child.fds);
	process->pid = start(&child);
	close_all((int[]){pipes[0][1], pipes[1][1], tether[1]}, 3);
	if (process->pid < 0) {
		close_all((int[]){pipes[0][0], pipes[1][0], tether[0]}, 3);
		process->pid = 0;
		return false;
	}
	process->out = pipes[0][0];
	process->err = pipes[1][0];
	process->tether = tether[0];
	return true;
}

/* What it prints, and what is said about it, come through one pipe. */
bool start_minder(const struct starter *starter, struct job *job, const struct words *words,
		  const char *folder)
{
	ga_auto_free char **line = command_line(words, PREFIX_MINDER);
	ga_auto_close int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int pipes[2][2], tether[2];
	struct child child = {
		.words = line, .agent = starter->agent, .folder = folder, .mask = starter->mask};

	if (!line || nothing < 0 || !make_ends(pipes, tether, true))
		return false;
	memcpy(child.fds, (int[]){nothing, pipes[0][1], pipes[0][1], tether[1]}, sizeof child.fds);
	job->minder = start(&child);
	close_all((int[]){pipes[0][1], pipes[1][0], pipes[1][1], tether[1]}, 4);
	if (job->minder < 0) {
		close_all((int[]){pipes[0][0], tether[0]}, 2);
		job->minder = 0;
		return false;
	}
	job->out = pipes[0][0];
	job->tether = tether[0];
	return true;
}
