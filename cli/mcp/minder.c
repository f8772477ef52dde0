/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The minder of a job; see minder.h. As a subreaper it becomes the parent of every process of the
 * job that loses its own, so nothing that the job starts can outlive it. It holds no lease.
 */
#include "mcp/minder.h"

#include "agent.h"
#include "cleanup.h"
#include "clock.h"
#include "file.h"
#include "text.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GRACE_MS = 10000, AGAIN_MS = 200, CHILDREN_MAX = 1 << 20, STATUS_NOT_STARTED = 126 };

struct minding {
	int tether, signals;
	pid_t job;
	bool job_ended, killing;
	int status;       /* of the job, as waitpid() has it */
	int64_t deadline; /* SIGKILL then; -1: not asked to end */
	sigset_t before;
};

/* The supervisor passes SIGTERM on to the command; if the minder dies it is told so, too. */
_Noreturn static void become_job(const struct minding *minding, char *const *words)
{
	char name[] = "gpualloc", agent[] = AGENT_WORD, ends[] = AGENT_ENDS, fd[16];
	size_t count = 0;
	char **arguments;

	while (words[count])
		count++;
	arguments = calloc(count + 5, sizeof *arguments);
	if (arguments) {
		(void)snprintf(fd, sizeof fd, "%d", minding->tether);
		memcpy(arguments, (char *[]){name, agent, fd, ends}, 4 * sizeof *arguments);
		memcpy(arguments + 4, words, count * sizeof *arguments);
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		(void)sigprocmask(SIG_SETMASK, &minding->before, NULL);
		(void)execv("/proc/self/exe", arguments);
	}
	_exit(STATUS_NOT_STARTED);
}

static void kill_children(void)
{
	ga_auto_buffer struct ga_buffer list = GA_BUFFER_INIT(CHILDREN_MAX);
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	if (ga_file_read(path, CHILDREN_MAX, &list, NULL) < 0 || !list.data)
		return;
	for (char *rest = list.data, *word; (word = strtok_r(rest, " \n", &rest));) {
		int64_t pid;

		/* Not waited for yet, so its number cannot be another's. */
		if (ga_text_number(word, strlen(word), INT_MAX, &pid) && pid > 0)
			(void)kill((pid_t)pid, SIGKILL);
	}
}

static void ask_to_end(struct minding *minding)
{
	if (minding->deadline >= 0)
		return;
	minding->deadline = ga_clock_ms() + GRACE_MS;
	if (!minding->job_ended)
		(void)kill(minding->job, SIGTERM);
}

/* False when there are no children left. */
static bool reap(struct minding *minding)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == minding->job) {
			minding->job_ended = true;
			minding->status = status;
		}
	return pid == 0 || errno == EINTR;
}

/* It waits for all that the command starts, so what it leaves behind it was killed with. */
static void kill_leftovers(struct minding *minding)
{
	int64_t now = ga_clock_ms();

	if (!minding->killing && !minding->job_ended &&
	    (minding->deadline < 0 || now < minding->deadline))
		return;
	/* Repeated: the children of a killed process become children of this one. */
	kill_children();
	minding->killing = true;
	minding->deadline = now + AGAIN_MS;
}

static int patience_of(const struct minding *minding)
{
	int64_t left = minding->deadline - ga_clock_ms();

	return minding->deadline < 0 ? -1 : left < 0 ? 0 : (int)left;
}

static void listen_to_server(struct minding *minding, struct pollfd *tether)
{
	char word;
	ssize_t size = recv(minding->tether, &word, 1, MSG_DONTWAIT);

	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size <= 0)
		tether->fd = -1;
	ask_to_end(minding);
}

static void mind(struct minding *minding)
{
	struct pollfd polled[] = {{.fd = minding->tether, .events = POLLIN},
				  {.fd = minding->signals, .events = POLLIN}};

	while (reap(minding)) {
		struct signalfd_siginfo info;

		kill_leftovers(minding);
		(void)poll(polled, 2, patience_of(minding));
		if (polled[0].revents)
			listen_to_server(minding, &polled[0]);
		if (polled[1].revents && read(minding->signals, &info, sizeof info) > 0 &&
		    info.ssi_signo != SIGCHLD)
			ask_to_end(minding);
	}
}

static void report(const struct minding *minding)
{
	char text[64];
	int size = WIFSIGNALED(minding->status) ? snprintf(text, sizeof text, "{\"signal\":%d}",
							   WTERMSIG(minding->status))
						: snprintf(text, sizeof text, "{\"exit\":%d}",
							   WEXITSTATUS(minding->status));

	(void)send(minding->tether, text, (size_t)size, MSG_NOSIGNAL);
}

int minder_main(char *const *words)
{
	struct minding minding = {.deadline = -1};
	sigset_t taken;
	int64_t fd;

	if (!ga_text_number(words[0], strlen(words[0]), INT_MAX, &fd) || !words[1])
		return STATUS_NOT_STARTED;
	minding.tether = (int)fd;
	(void)sigemptyset(&taken);
	(void)sigaddset(&taken, SIGCHLD);
	(void)sigaddset(&taken, SIGHUP);
	(void)sigaddset(&taken, SIGINT);
	(void)sigaddset(&taken, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &taken, &minding.before);
	minding.signals = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
	if (minding.signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return STATUS_NOT_STARTED;
	(void)prctl(PR_SET_NAME, "gpualloc-minder");
	minding.job = fork();
	if (minding.job == 0)
		become_job(&minding, words + 1);
	if (minding.job < 0)
		return STATUS_NOT_STARTED;
	mind(&minding);
	report(&minding);
	return 0;
}
