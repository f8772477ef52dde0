/* SPDX-License-Identifier: Apache-2.0 */
/* Taking turns, within bounds; see arbiter.h. */
#include "arbiter.h"

#include "clock.h"
#include "file.h"
#include "leaf.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/*
 * Anybody can read in /proc/locks who has an flock; for OFD locks the kernel does not say. Each read
 * of it stops all locking on the machine until every lock before that place has been counted again,
 * so a stranger with thousands of locks must not make us read all of them: then nobody is seen.
 */
static long holder_pid(int fd)
{
	enum { LINES_MOST = 1000 };
	char *line = NULL, wanted[64], pieces[4096]; /* the kernel gives no more at once */
	size_t size = 0;
	struct stat status;
	long pid = -1;
	FILE *locks = fopen("/proc/locks", "re");

	if (!locks || fstat(fd, &status) < 0) {
		if (locks)
			(void)fclose(locks);
		return -1;
	}
	/* Without a buffer of ours the C library would read in pieces of a quarter of that. */
	(void)setvbuf(locks, pieces, _IOFBF, sizeof pieces);
	(void)snprintf(wanted, sizeof wanted, " %02x:%02x:%ju ", major(status.st_dev),
		       minor(status.st_dev), (uintmax_t)status.st_ino);
	for (int i = 0; pid < 0 && i < LINES_MOST && getline(&line, &size, locks) > 0; i++) {
		const char *kind = strstr(line, "FLOCK  ADVISORY  ");

		/* Both "READ" and "WRITE" keep others out. */
		if (kind && !strstr(line, "->") && strstr(kind, wanted))
			pid = strtol(kind + strlen("FLOCK  ADVISORY  WRITE"), NULL, 10);
	}
	free(line);
	(void)fclose(locks);
	return pid;
}

static bool is_stopped(long pid)
{
	char path[64], text[512];
	const char *state;

	(void)snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	if (ga_file_peek("", path, text, sizeof text) < 0)
		return false;
	state = strrchr(text, ')');
	return state && state[1] == ' ' && (state[2] == 'T' || state[2] == 't');
}

static void name_holder(long pid, struct ga_buffer *note)
{
	char path[64], name[64], user[256];
	struct stat status;

	(void)snprintf(path, sizeof path, "/proc/%ld", pid);
	if (pid <= 0 || stat(path, &status) < 0) {
		ga_buffer_text(
			note,
			"claims go on without order: the store's arbiter stayed locked, and nobody "
			"could be seen holding it");
		return;
	}
	ga_leaf_user(status.st_uid, user, sizeof user);
	(void)snprintf(path, sizeof path, "/proc/%ld/comm", pid);
	if (ga_file_peek("", path, name, sizeof name) < 0)
		name[0] = '\0';
	/* A process chooses its own name, so it may contain anything. */
	for (char *at = name; *at; at++)
		if (ga_text_is_control(*at))
			*at = '?';
	ga_buffer_format(
		note,
		"claims go on without order: process %ld of %s%s%s%s holds the store's arbiter "
		"and does not let go%s",
		pid, user, *name ? " (" : "", name, *name ? ")" : "",
		is_stopped(pid) ? ", stopped" : "");
}

/*
 * The process that had it at every one of several looks; 0: not always the same one. Where many
 * hold it for a moment each, the last one is no more to blame than the others.
 */
struct suspect {
	long pid;
	unsigned looks;
};

static void watch_the_holder(struct suspect *suspect, int fd)
{
	long pid = holder_pid(fd);

	suspect->pid = suspect->looks++ == 0 || suspect->pid == pid ? pid : 0;
}

/*
 * Polls: only a signal could end a blocking call, and a library has no signal to spare. Normally it
 * is held for a millisecond; when it stays taken for much longer, we look less often.
 */
static bool lock_within(int fd, unsigned patience_ms, struct suspect *suspect)
{
	enum { BRISK_MS = 250, BRISK_US = 800, SLOW_US = 5000, LOOKS = 3 };
	int64_t start = ga_clock_ms(), pause_us = 100;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int64_t spent = ga_clock_ms() - start;

		if (errno != EINTR && errno != EWOULDBLOCK)
			return false;
		/* The last look is when patience ends. Without patience nobody is suspected. */
		if (spent * LOOKS >= (int64_t)patience_ms * (suspect->looks + 1) && patience_ms > 0)
			watch_the_holder(suspect, fd);
		if (spent >= patience_ms)
			return false;
		ga_clock_sleep_us(pause_us);
		if (spent > BRISK_MS)
			pause_us = SLOW_US;
		else if (pause_us < BRISK_US)
			pause_us *= 2;
	}
	return true;
}

static void hold_back_stops(struct ga_arbiter *arbiter)
{
	sigset_t stops;

	(void)sigemptyset(&stops);
	(void)sigaddset(&stops, SIGTSTP);
	(void)sigaddset(&stops, SIGTTIN);
	(void)sigaddset(&stops, SIGTTOU);
	arbiter->blocked = pthread_sigmask(SIG_BLOCK, &stops, &arbiter->before) == 0;
}

void ga_arbiter_take(const struct ga_store *store, unsigned patience_ms, struct ga_arbiter *arbiter,
		     struct ga_buffer *note)
{
	struct suspect suspect = {0};

	*arbiter = GA_ARBITER_NONE;
	hold_back_stops(arbiter);
	arbiter->fd = openat(store->folder, "arbiter",
			     O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (arbiter->fd < 0) {
		ga_buffer_text(note, "claims go on without order: the store has no arbiter");
	} else if (!lock_within(arbiter->fd, patience_ms, &suspect)) {
		name_holder(suspect.pid, note);
		close(arbiter->fd);
		arbiter->fd = -1;
	}
	if (arbiter->fd < 0)
		ga_arbiter_drop(arbiter);
}

void ga_arbiter_drop(struct ga_arbiter *arbiter)
{
	/* Unlocked, not just closed: another thread may have forked in between. */
	if (arbiter->fd >= 0) {
		(void)flock(arbiter->fd, LOCK_UN);
		close(arbiter->fd);
	}
	if (arbiter->blocked)
		(void)pthread_sigmask(SIG_SETMASK, &arbiter->before, NULL);
	*arbiter = GA_ARBITER_NONE;
}
