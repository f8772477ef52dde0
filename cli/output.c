/* SPDX-License-Identifier: Apache-2.0 */
/* Writing, checked to the last byte; see output.h. */
#include "output.h"

#include "cleanup.h"
#include "file.h"
#include "message.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void output_prepare(void)
{
	/* Opened the wrong way round, so that using one that was closed still fails. */
	static const int modes[] = {O_WRONLY, O_RDONLY, O_RDONLY};

	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)open("/dev/null", modes[fd]);
}

/* 0 or an errno. */
static int write_whole(int fd, const struct ga_buffer *text)
{
	return -ga_file_put(fd, text->data, text->size);
}

int output_print(const struct ga_buffer *text)
{
	int reason;

	if (text->failed)
		return fail_memory();
	reason = write_whole(STDOUT_FILENO, text);
	/* The program that closed the pipe knows that it did. */
	if (reason == EPIPE)
		return STATUS_OUTPUT;
	if (reason)
		return fail(STATUS_OUTPUT, "cannot write to stdout: %s", strerror(reason));
	return 0;
}

static int cannot_write(const char *path, int reason)
{
	int status = reason == EACCES || reason == EPERM || reason == EROFS
			     ? gpualloc_exit_status(GPUALLOC_EPERM)
			     : STATUS_OUTPUT;

	return fail(status, "cannot write %s: %s", path, strerror(reason));
}

/* A pipe, a terminal or another device cannot be replaced, only written to. */
static int save_directly(const char *path, const struct ga_buffer *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY), reason;

	if (fd < 0)
		return cannot_write(path, errno);
	reason = write_whole(fd, text);
	if (close(fd) < 0 && !reason)
		reason = errno;
	return reason ? cannot_write(path, reason) : 0;
}

/* The temporary file beside path: hidden, and with a name that nobody else uses. */
static int temporary_path(const char *path, char *ret_path, size_t size)
{
	const char *slash = strrchr(path, '/');
	int folder = slash ? (int)(slash - path) + 1 : 0, length;

	length = snprintf(ret_path, size, "%.*s.gpualloc-XXXXXX", folder, path);
	return length < 0 || (size_t)length >= size ? ENAMETOOLONG : 0;
}

/* Returns 0 or an errno; a failure leaves nothing behind. */
static int write_and_rename(const char *path, const struct ga_buffer *text, mode_t mode)
{
	char temporary[PATH_MAX];
	int reason = temporary_path(path, temporary, sizeof temporary), fd;

	if (reason)
		return reason;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return errno;
	reason = write_whole(fd, text);
	if (!reason && fchmod(fd, mode) < 0)
		reason = errno;
	if (close(fd) < 0 && !reason)
		reason = errno;
	if (!reason && rename(temporary, path) < 0)
		reason = errno;
	if (reason)
		(void)unlink(temporary);
	return reason;
}

/*
 * Ctrl-C is held back for the few milliseconds in which there is a temporary file, so that none is
 * ever left. A file that grows past its user's limit is an ordinary error.
 */
static int replace_undisturbed(const char *path, const struct ga_buffer *text, mode_t mode)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	sigset_t wait, old;
	int reason;

	(void)sigemptyset(&wait);
	(void)sigaddset(&wait, SIGINT);
	(void)sigaddset(&wait, SIGTERM);
	(void)sigaddset(&wait, SIGHUP);
	(void)sigaddset(&wait, SIGQUIT);
	(void)sigprocmask(SIG_BLOCK, &wait, &old);
	(void)sigaction(SIGXFSZ, &ignore, &before);
	reason = write_and_rename(path, text, mode);
	(void)sigaction(SIGXFSZ, &before, NULL);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	return reason;
}

int output_save(const char *path, const struct ga_buffer *text)
{
	ga_auto_free char *real = NULL;
	struct stat status;
	mode_t mask;
	int reason;

	if (text->failed)
		return fail_memory();
	if (strcmp(path, "-") == 0)
		return output_print(text);
	if (*path == '\0')
		return fail(STATUS_USAGE, "the name of the file to write is empty");
	if (stat(path, &status) < 0) {
		mask = umask(0);
		(void)umask(mask);
		status.st_mode = 0666 & ~mask;
	} else if (S_ISDIR(status.st_mode)) {
		return cannot_write(path, EISDIR);
	} else if (!S_ISREG(status.st_mode)) {
		return save_directly(path, text);
	} else {
		/* Replaces what a link points to, not the link. */
		real = realpath(path, NULL);
		if (!real || access(real, W_OK) < 0)
			return cannot_write(path, errno);
	}
	reason = replace_undisturbed(real ? real : path, text, status.st_mode & 07777);
	return reason ? cannot_write(path, reason) : 0;
}
