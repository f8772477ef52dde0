/* SPDX-License-Identifier: Apache-2.0 */
/* Signals to all children; see children.h. Only a process that the kernel calls ours gets one. */
#include "children.h"

#include "cleanup.h"
#include "file.h"
#include "text.h"

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Process numbers go up to 2^22 at most. A million children take eight megabytes. */
enum { PID_LAST = 1 << 22, CHILDREN_MAX = 1 << 23 };

/* A child that has not been waited for keeps its number, so the number cannot be another's. */
static bool is_child(pid_t pid)
{
	siginfo_t info;

	return waitid(P_PID, (id_t)pid, &info,
		      WEXITED | WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT) == 0;
}

static void send(pid_t to, const int signals[2])
{
	for (int i = 0; i < 2; i++)
		if (signals[i])
			(void)kill(to, signals[i]);
}

/* Whether it is in the group. The whole group then gets the signal. */
static bool signal_one(pid_t pid, pid_t group, const int signals[2])
{
	pid_t its = getpgid(pid);

	/* "No such process" is the quickest answer of all. */
	if (its < 0 || !is_child(pid))
		return false;
	if (its == group)
		return true;
	send(pid, signals);
	return false;
}

/*
 * A /proc of another pid namespace lacks this file, or names processes that are not our children.
 */
static bool read_children(struct ga_buffer *list)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	return ga_file_read(path, CHILDREN_MAX, list, NULL) == 0;
}

static bool signal_listed(const struct ga_buffer *list, pid_t group, const int signals[2])
{
	struct ga_view rest = {list->data, list->size};
	bool in_group = false;

	while (rest.size > 0) {
		const char *blank = memchr(rest.text, ' ', rest.size);
		size_t size = blank ? (size_t)(blank - rest.text) : rest.size;
		int64_t pid;

		if (ga_text_number(rest.text, size, INT_MAX, &pid) && pid > 0 &&
		    signal_one((pid_t)pid, group, signals))
			in_group = true;
		rest.text += size + (blank ? 1 : 0);
		rest.size -= size + (blank ? 1 : 0);
	}
	return in_group;
}

/*
 * Without /proc every number is tried. This takes a second or two, but otherwise nothing would end.
 */
static bool signal_found(pid_t group, const int signals[2])
{
	bool in_group = false;

	for (pid_t pid = 1; pid <= PID_LAST; pid++)
		in_group = signal_one(pid, group, signals) || in_group;
	return in_group;
}

void ga_children_signal(pid_t group, int first, int second)
{
	ga_auto_buffer struct ga_buffer list = GA_BUFFER_INIT(CHILDREN_MAX);
	const int signals[2] = {first, second};
	bool in_group = read_children(&list) ? signal_listed(&list, group, signals)
					     : signal_found(group, signals);

	if (in_group)
		send(-group, signals);
}
