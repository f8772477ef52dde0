/* SPDX-License-Identifier: Apache-2.0 */
/* CDI files, whole or not at all; see save.h. */
#include "save.h"

#include "cleanup.h"
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static int cannot(gpualloc_error *error, int reason, const char *what, const char *path)
{
	return ga_error_errno(error,
			      reason == EACCES || reason == EPERM || reason == EROFS
				      ? GPUALLOC_EPERM
				      : GPUALLOC_EIO,
			      reason, "cannot %s %s", what, path);
}

/* The folder of path and each above it, whatever this process's umask is. */
int cdi_make_folder(const char *path, gpualloc_error *error)
{
	char folder[PATH_MAX];

	for (const char *slash = strchr(path + (*path == '/'), '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		size_t size = (size_t)(slash - path);

		if (size >= sizeof folder)
			return cannot(error, ENAMETOOLONG, "make the folder of", path);
		memcpy(folder, path, size);
		folder[size] = '\0';
		if (mkdir(folder, 0755) == 0)
			(void)chmod(folder, 0755);
		else if (errno != EEXIST)
			return cannot(error, errno, "make the folder", folder);
	}
	return 0;
}

static bool name_temporary(const char *path, char ret_path[static PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	int folder = slash ? (int)(slash - path) + 1 : 0;

	return snprintf(ret_path, PATH_MAX, "%.*s.%s.new", folder, path, path + folder) < PATH_MAX;
}

/* Whether the file that we have locked is still the one of that name, and ours. */
static bool is_still(int fd, const char *path)
{
	struct stat open_one, named;

	return fstat(fd, &open_one) == 0 && lstat(path, &named) == 0 &&
	       open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

/*
 * The temporary file, empty and locked: of several writers each has its turn. One that is a
 * stranger's, or has other names, is not written to. A negative errno on failure.
 */
static int open_temporary(const char *path)
{
	for (;;) {
		int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
		struct stat status;

		if (fd < 0)
			return -errno;
		if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) ||
		    status.st_uid != geteuid() || status.st_nlink > 1) {
			close(fd);
			return -EPERM;
		}
		if (flock(fd, LOCK_EX) == 0 && is_still(fd, path))
			return fd;
		close(fd);
	}
}

static int fill(int fd, const struct ga_buffer *text)
{
	int reason = ftruncate(fd, 0) < 0 ? -errno : ga_file_put(fd, text->data, text->size);

	if (reason == 0 && fsync(fd) < 0)
		reason = -errno;
	return reason;
}

int cdi_save(const char *path, const struct ga_buffer *text, gpualloc_error *error)
{
	char temporary[PATH_MAX];
	ga_auto_close int fd = -1;
	int result = cdi_make_folder(path, error), reason;

	if (result < 0)
		return result;
	if (text->failed)
		return ga_error_memory(error);
	if (!name_temporary(path, temporary))
		return cannot(error, ENAMETOOLONG, "write", path);
	fd = open_temporary(temporary);
	if (fd < 0)
		return cannot(error, -fd, "write", temporary);
	reason = fill(fd, text);
	if (reason == 0 && rename(temporary, path) < 0)
		reason = -errno;
	if (reason < 0) {
		(void)unlink(temporary);
		return cannot(error, -reason, "write", path);
	}
	/* Not before: of one that a killed writer left, a stranger could take and keep the lock. */
	return fchmod(fd, 0644) < 0 ? cannot(error, errno, "publish", path) : 0;
}

int cdi_remove(const char *path, gpualloc_error *error)
{
	char temporary[PATH_MAX];

	if (name_temporary(path, temporary))
		(void)unlink(temporary);
	return unlink(path) < 0 && errno != ENOENT ? cannot(error, errno, "remove", path) : 0;
}
