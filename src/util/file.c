/* SPDX-License-Identifier: Apache-2.0 */
/* Whole files, read within a limit; see file.h. */
#include "file.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

static int read_all(int fd, const char *path, struct ga_buffer *content, gpualloc_error *error)
{
	enum { CHUNK = 1 << 16 };

	for (;;) {
		/* Asks for up to one byte more than the limit, to see if there is too much. */
		size_t left = content->limit - content->size;
		size_t want = left < CHUNK ? left + 1 : CHUNK;
		char spare[1];
		char *room =
			left == 0 ? spare : ga_buffer_room(content, want <= left ? want : left);
		ssize_t got;

		if (!room)
			return ga_error_memory(error);
		got = read(fd, room, left == 0 ? 1 : want <= left ? want : left);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ga_error_errno(error, GPUALLOC_EIO, errno, "%s: cannot read", path);
		if (got == 0)
			return 0;
		if (left == 0)
			return ga_error_set(error, GPUALLOC_EDATA,
					    "%s: more than %zu bytes, which is too large", path,
					    content->limit);
		ga_buffer_grew(content, (size_t)got);
	}
}

int ga_file_read(const char *path, size_t limit, struct ga_buffer *ret_content,
		 gpualloc_error *error)
{
	return ga_file_read_at(AT_FDCWD, path, limit, ret_content, error);
}

int ga_file_read_at(int folder, const char *path, size_t limit, struct ga_buffer *ret_content,
		    gpualloc_error *error)
{
	ga_auto_buffer struct ga_buffer content = GA_BUFFER_INIT(limit);
	ga_auto_close int fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat status;
	int result;

	if (fd < 0)
		return ga_error_errno(error,
				      errno == EACCES || errno == EPERM     ? GPUALLOC_EPERM
				      : errno == ENOENT || errno == ENOTDIR ? GPUALLOC_EUSAGE
									    : GPUALLOC_EIO,
				      errno, "%s", path);
	if (fstat(fd, &status) < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "%s", path);
	if (S_ISDIR(status.st_mode))
		return ga_error_set(error, GPUALLOC_EDATA, "%s: is a directory, not a file", path);
	if (S_ISREG(status.st_mode) && (uintmax_t)status.st_size > limit)
		return ga_error_set(error, GPUALLOC_EDATA,
				    "%s: too large: %jd bytes, at most %zu are read", path,
				    (intmax_t)status.st_size, limit);
	result = read_all(fd, path, &content, error);
	if (result < 0)
		return result;
	ga_buffer_append(&content, "", 0);
	if (content.failed)
		return ga_error_memory(error);
	*ret_content = content;
	content = GA_BUFFER_INIT(0);
	return 0;
}

long ga_file_peek(const char *root, const char *path, char *text, size_t size)
{
	char whole[PATH_MAX];
	ga_auto_close int fd = -1;
	size_t length = 0;
	ssize_t got;

	if ((size_t)snprintf(whole, sizeof whole, "%s%s", root, path) >= sizeof whole)
		return -1;
	fd = open(whole, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -1;
	while (length < size - 1) {
		got = read(fd, text + length, size - 1 - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		length += (size_t)got;
	}
	while (length > 0 && strchr(" \t\r\n", text[length - 1]))
		length--;
	text[length] = '\0';
	return (long)length;
}

bool ga_file_exists(const char *root, const char *path)
{
	char whole[PATH_MAX];

	return (size_t)snprintf(whole, sizeof whole, "%s%s", root, path) < sizeof whole &&
	       access(whole, F_OK) == 0;
}

/* ---- writing ---- */

/*
 * A process may have a limit on the size of its files (RLIMIT_FSIZE), and the kernel ends it with
 * SIGXFSZ if a write would exceed it. A library must not end its program, so the signal is blocked
 * in this thread and then cleared, unless it was pending before.
 */
struct limit_signal {
	sigset_t one, before;
	bool was_pending;
};

static void hold_off(struct limit_signal *signal)
{
	sigset_t pending;

	(void)sigemptyset(&signal->one);
	(void)sigaddset(&signal->one, SIGXFSZ);
	(void)sigpending(&pending);
	signal->was_pending = sigismember(&pending, SIGXFSZ) == 1;
	(void)pthread_sigmask(SIG_BLOCK, &signal->one, &signal->before);
}

static void let_through(const struct limit_signal *signal, bool is_ours)
{
	static const struct timespec at_once;

	if (is_ours && !signal->was_pending)
		(void)sigtimedwait(&signal->one, NULL, &at_once);
	(void)pthread_sigmask(SIG_SETMASK, &signal->before, NULL);
}

int ga_file_put(int fd, const void *data, size_t size)
{
	struct limit_signal signal;
	const char *bytes = data;
	size_t done = 0;
	int reason = 0;

	hold_off(&signal);
	while (done < size && !reason) {
		ssize_t put = write(fd, bytes + done, size - done);

		if (put < 0 && errno != EINTR)
			reason = errno;
		done += put > 0 ? (size_t)put : 0;
	}
	let_through(&signal, reason == EFBIG);
	return -reason;
}

int ga_file_identify(int folder, const char *path, struct stat *ret_status)
{
	struct statx known;

	if (statx(folder, path, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &known) < 0)
		return -1;
	*ret_status = (struct stat){
		.st_mode = known.stx_mode,
		.st_ino = known.stx_ino,
		.st_dev = makedev(known.stx_dev_major, known.stx_dev_minor),
		.st_rdev = makedev(known.stx_rdev_major, known.stx_rdev_minor),
	};
	return 0;
}
