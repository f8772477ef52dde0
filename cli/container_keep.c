/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper of a container's lease; see container.h. It learns the container's number from the
 * file that the client writes, the number of its first process from the engine, and then waits for
 * that process by a descriptor that cannot mean another one. Whatever it is not sure of, it asks
 * again; it lets go only if the container has ended, or if there never was one.
 */
#include "child.h"
#include "cleanup.h"
#include "clock.h"
#include "container.h"
#include "file.h"
#include "keeper.h"
#include "orphan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	ASK_MS = 20000,
	ANSWER_MOST = 1 << 16,
	ID_SIZE = 65,
	FIRST_PAUSE_MS = 50,
	LONGEST_PAUSE_MS = 2000,
	NOT_YET_MS = 5000,  /* how long after its client a container can still come to life */
	SILENT_MS = 120000, /* and how long an engine is asked that does not answer */
};

enum look {
	LOOK_GONE,
	LOOK_RUNS,
	LOOK_NOT_YET, /* made and not started */
	LOOK_SILENT   /* the engine does not answer */
};

struct keeping {
	int lease, client, file, stop; /* descriptors; client -1: it has ended */
	int process;                   /* the container's first; -1: not known */
	int verdict; /* -1: it was said that the container lives on without its client */
	const char *cidfile;
	char *const *engine;
	char id[ID_SIZE];
	int64_t alone_since; /* when the client had ended, of ga_clock_ms() */
	int pause_ms;
	bool must_stop;
};

/* ---- asking the engine ---- */

/* True if it answered with success. */
static bool ask(const struct keeping *keeping, const char *const *more, char *ret_text, size_t size)
{
	ga_auto_child struct ga_child_result answer = {0};
	ga_auto_free const char **argv = NULL;
	size_t count = 0, extra = 0;

	while (keeping->engine[count])
		count++;
	while (more[extra])
		extra++;
	argv = calloc(count + extra + 1, sizeof *argv);
	if (!argv)
		return false;
	for (size_t i = 0; i < count; i++)
		argv[i] = keeping->engine[i];
	for (size_t i = 0; i < extra; i++)
		argv[count + i] = more[i];
	if (ga_child_run(argv, ASK_MS, ANSWER_MOST, &answer, NULL) < 0 || answer.timed_out ||
	    answer.exit_status != 0)
		return false;
	(void)snprintf(ret_text, size, "%s", answer.output.data ? answer.output.data : "");
	return true;
}

static enum look judge(const char *state, int pid)
{
	static const char *const live[] = {"running", "paused", "stopping"};
	static const char *const early[] = {"created", "configured", "initialized"};

	for (size_t i = 0; pid > 0 && i < sizeof live / sizeof *live; i++)
		if (strcmp(state, live[i]) == 0)
			return LOOK_RUNS;
	for (size_t i = 0; i < sizeof early / sizeof *early; i++)
		if (strcmp(state, early[i]) == 0)
			return LOOK_NOT_YET;
	return LOOK_GONE;
}

static enum look look(const struct keeping *keeping, int *ret_pid)
{
	const char *const inspect[] = {"container", "inspect",
				       "--format",  "{{.State.Pid}} {{.State.Status}}",
				       keeping->id, NULL};
	char filter[ID_SIZE + 8];
	const char *const list[] = {"ps", "--all", "--quiet", "--filter", filter, NULL};
	char answer[256], state[32];

	if (ask(keeping, inspect, answer, sizeof answer))
		return sscanf(answer, "%d %31s", ret_pid, state) == 2 ? judge(state, *ret_pid)
								      : LOOK_SILENT;
	/* Either there is no such container any more, or the engine is in trouble. */
	(void)snprintf(filter, sizeof filter, "id=%s", keeping->id);
	return ask(keeping, list, answer, sizeof answer) && !*answer ? LOOK_GONE : LOOK_SILENT;
}

static void stop_container(struct keeping *keeping)
{
	const char *const stop[] = {"stop", "--time", "5", keeping->id, NULL};
	char answer[256];

	keeping->must_stop = false;
	(void)ask(keeping, stop, answer, sizeof answer);
}

/* ---- the container's first process ---- */

/* Whether the number that the engine gives means that process here too: not if the engine is in
 * another namespace, or in a virtual machine. */
static bool is_of_container(const struct keeping *keeping, int pid)
{
	char path[40], groups[8192];

	(void)snprintf(path, sizeof path, "/proc/%d/cgroup", pid);
	return ga_file_peek("", path, groups, sizeof groups) > 0 && strstr(groups, keeping->id);
}

/* The process may have ended since the engine named it, and its number be another's. */
static void open_process(struct keeping *keeping, int pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		return;
	if (is_of_container(keeping, pid))
		keeping->process = fd;
	else
		close(fd);
}

/* ---- events ---- */

/* Digits as hexadecimal has them; a file that is being written has not all of them yet. */
static void read_id(struct keeping *keeping)
{
	char text[ID_SIZE + 1];
	long size = ga_file_peek("", keeping->cidfile, text, sizeof text);

	if (size == ID_SIZE - 1 && strspn(text, "0123456789abcdef") == ID_SIZE - 1)
		memcpy(keeping->id, text, ID_SIZE);
}

static void drain(int fd)
{
	char events[4096];

	while (read(fd, events, sizeof events) > 0)
		continue;
}

static void wait_for_events(struct keeping *keeping)
{
	struct pollfd events[] = {{.fd = keeping->client, .events = POLLIN},
				  {.fd = keeping->file, .events = POLLIN},
				  {.fd = keeping->process, .events = POLLIN},
				  {.fd = keeping->stop, .events = POLLIN}};
	bool asks = *keeping->id && keeping->process < 0;

	if (poll(events, 4, asks ? keeping->pause_ms : -1) <= 0)
		return;
	if (events[0].revents) {
		close(keeping->client);
		keeping->client = -1;
		keeping->alone_since = ga_clock_ms();
		keeping->pause_ms = FIRST_PAUSE_MS;
	}
	if (events[1].revents)
		drain(keeping->file);
	if (events[3].revents) {
		drain(keeping->stop);
		keeping->must_stop = true;
	}
}

static bool has_ended(const struct keeping *keeping)
{
	struct pollfd event = {.fd = keeping->process, .events = POLLIN};

	return keeping->process >= 0 && poll(&event, 1, 0) > 0;
}

/* Whether an answer, or none, means that the container can be given up. */
static bool is_over(const struct keeping *keeping, enum look found)
{
	int64_t alone = keeping->client >= 0 ? 0 : ga_clock_ms() - keeping->alone_since;

	return found == LOOK_GONE || (found == LOOK_NOT_YET && alone > NOT_YET_MS) ||
	       (found == LOOK_SILENT && alone > SILENT_MS);
}

/* Whoever waits for the client does not wait for this container. */
static void say_lives_on(struct keeping *keeping)
{
	if (keeping->verdict >= 0)
		close(keeping->verdict);
	keeping->verdict = -1;
}

static void keep(struct keeping *keeping)
{
	for (;;) {
		bool runs = keeping->process >= 0;
		int pid = 0;

		if (!*keeping->id)
			read_id(keeping);
		if (has_ended(keeping) || (!*keeping->id && keeping->client < 0))
			return;
		if (*keeping->id && keeping->must_stop)
			stop_container(keeping);
		if (*keeping->id && keeping->process < 0) {
			enum look found = look(keeping, &pid);

			if (is_over(keeping, found))
				return;
			runs = found == LOOK_RUNS;
			if (runs)
				open_process(keeping, pid);
			keeping->pause_ms *= keeping->pause_ms < LONGEST_PAUSE_MS ? 2 : 1;
		}
		if (runs && keeping->client < 0)
			say_lives_on(keeping);
		wait_for_events(keeping);
	}
}

/* ---- beginning and end ---- */

/* Notices that the file is written, before the client can write it. */
static int watch_file(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	(void)snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1,
		       slash ? path : ".");
	if (fd >= 0 && inotify_add_watch(fd, folder, IN_CLOSE_WRITE | IN_MOVED_TO) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* `gpualloc release` asks with this signal; the container is what has to end. */
static int take_stop_signal(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int container_keep(char *const *words)
{
	struct keeping keeping = {.lease = CONTAINER_LEASE,
				  .client = CONTAINER_CLIENT,
				  .verdict = CONTAINER_VERDICT,
				  .process = -1,
				  .cidfile = words[0],
				  .engine = words + 2,
				  .pause_ms = FIRST_PAUSE_MS};
	const char *folder = words[1];

	keeping.file = watch_file(keeping.cidfile);
	for (int fd = CONTAINER_LEASE; fd <= CONTAINER_VERDICT; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (keeping.file < 0 || !ga_orphan_say_runs())
		return EXIT_FAILURE;
	keeping.stop = take_stop_signal();
	(void)prctl(PR_SET_NAME, "gpualloc-contai");
	keep(&keeping);
	if (*folder) {
		(void)unlink(keeping.cidfile);
		(void)rmdir(folder);
	}
	keeper_let_go(keeping.lease);
	return EXIT_SUCCESS;
}
