/* SPDX-License-Identifier: Apache-2.0 */
/* Watches who uses a device; see watch.h. */
#include "watch.h"

#include "clock.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LOOK_MS = 100, MISSED_MOST = 5, READ_SIZE = 1 << 16 };

/* Searches a whole file of a process in overlapping pieces. */
static bool file_has(int folder, const char *name, const char *uuid)
{
	static char piece[READ_SIZE]; /* a keeper is one thread and small */
	size_t kept = 0, size = strlen(uuid);
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	bool found = false;
	ssize_t got;

	if (fd < 0)
		return false;
	while (!found && (got = read(fd, piece + kept, sizeof piece - kept)) > 0) {
		size_t all = kept + (size_t)got;

		found = memmem(piece, all, uuid, size) != NULL;
		kept = all < size ? all : size;
		memmove(piece, piece + all - kept, kept);
	}
	close(fd);
	return found;
}

static bool is_user(int proc, const char *pid, const char *uuid)
{
	int folder = openat(proc, pid, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat status;
	bool found;

	if (folder < 0)
		return false;
	found = fstat(folder, &status) == 0 && status.st_uid == geteuid() &&
		(file_has(folder, "environ", uuid) || file_has(folder, "cmdline", uuid));
	close(folder);
	return found;
}

/* Some process with the device, other than this one; 0 if there is none. */
static pid_t find_user(const char *uuid)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	pid_t found = 0;

	while (proc && !found && (entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);

		if (pid > 0 && pid != getpid() && is_user(dirfd(proc), entry->d_name, uuid))
			found = pid;
	}
	if (proc)
		(void)closedir(proc);
	return found;
}

static void sleep_until_end(pid_t pid)
{
	struct pollfd ending = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};

	/* If processes cannot be watched, looks again from time to time. */
	(void)poll(&ending, 1, ending.fd >= 0 ? -1 : LOOK_MS);
	if (ending.fd >= 0)
		close(ending.fd);
}

/*
 * One look may miss a user that starts a child and ends: the child was not there yet when the look
 * passed its place in /proc. And a process that is just becoming another program has no environment
 * for a moment. So the device counts as unused only after several looks.
 */
void watch_users(const char *uuid, int64_t none_ms)
{
	int64_t deadline = ga_clock_ms() + none_ms;
	bool seen = false;
	int missed = 0;

	while (seen ? missed < MISSED_MOST : ga_clock_ms() < deadline) {
		pid_t user = find_user(uuid);

		missed = user ? 0 : missed + 1;
		seen = seen || user;
		if (user)
			sleep_until_end(user);
		else
			(void)poll(NULL, 0, LOOK_MS);
	}
}
