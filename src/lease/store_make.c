/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and removing a store; see store.h. Every part appears with its final owner and mode at
 * once, so that nobody ever opens one that is half made.
 */
#include "store.h"

#include "leaf.h"
#include "ledger.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct modes {
	mode_t folder, file, part;
};

/* A sticky file is one that cleaners of /tmp leave alone: a ledger must not be replaced by age. */
static const struct modes for_everybody = {0755, 0666, 01777}, for_one = {0700, 01600, 0700};
static const char *const files[] = {"ledger", "arbiter"}, *const parts[] = {"records", "queue"};

static int fail(const char *path, const char *part, gpualloc_error *error)
{
	return ga_error_errno(error, GPUALLOC_EPERM, errno, "cannot make the store %s%s%s", path,
			      *part ? "/" : "", part);
}

/* fchmod() and not the mode of open(): that is cut by the caller's umask. */
static int make_file(int folder, const char *name, mode_t mode)
{
	ga_auto_close int fd = -1;
	char way[32];

	if (faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	fd = openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 || fchmod(fd, mode) < 0)
		return -1;
	(void)snprintf(way, sizeof way, "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, way, folder, name, AT_SYMLINK_FOLLOW) < 0 && errno != EEXIST ? -1
											     : 0;
}

/* By a descriptor that needs no permission: what a umask has closed even its owner cannot open. */
static int set_mode(int at, const char *name, mode_t mode)
{
	ga_auto_close int fd = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char way[32];

	if (fd < 0)
		return -1;
	(void)snprintf(way, sizeof way, "/proc/self/fd/%d", fd);
	return chmod(way, mode);
}

static bool is_closed_to_us(int at, const char *name)
{
	struct stat status;

	return fstatat(at, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode) &&
	       status.st_uid == geteuid() && (status.st_mode & S_IRWXU) != S_IRWXU;
}

static int make_folder(int at, const char *name, mode_t mode)
{
	if (mkdirat(at, name, 0700) == 0)
		return set_mode(at, name, mode);
	if (errno != EEXIST)
		return -1;
	/* An earlier one was ended before it came to the mode. */
	return is_closed_to_us(at, name) ? set_mode(at, name, mode) : 0;
}

/* In /tmp anybody may make a folder of the name that ours would have. */
static int check_squatter(const char *path, gpualloc_error *error)
{
	struct stat status;
	char user[256];

	if (lstat(path, &status) < 0)
		return fail(path, "", error);
	if (status.st_uid == 0 || status.st_uid == geteuid())
		return 0;
	ga_leaf_user(status.st_uid, user, sizeof user);
	return ga_error_set(
		error, GPUALLOC_EPERM,
		"the store %s cannot be trusted: it belongs to %s. Only they or root can "
		"remove it; GPUALLOC_STATE_DIR=FOLDER, without --private, takes another, "
		"best in your home folder",
		path, user);
}

int ga_store_make(const char *path, bool for_all, gpualloc_error *error)
{
	const struct modes *modes = for_all ? &for_everybody : &for_one;
	ga_auto_close int folder = -1;
	struct stat status;
	int result;

	if (make_folder(AT_FDCWD, path, modes->folder) < 0)
		return fail(path, "", error);
	/* Nothing is put into a stranger's folder: he could replace it. */
	result = check_squatter(path, error);
	if (result < 0)
		return result;
	folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0 || fstat(folder, &status) < 0)
		return fail(path, "", error);
	if (status.st_uid != 0 && status.st_uid != geteuid())
		return ga_error_set(error, GPUALLOC_EPERM,
				    "the store %s cannot be trusted: it belongs to another user",
				    path);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (make_file(folder, files[i], modes->file) < 0)
			return fail(path, files[i], error);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (make_folder(folder, parts[i], modes->part) < 0)
			return fail(path, parts[i], error);
	return 0;
}

/* ---- removing ---- */

static int empty_folder(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (!list) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while ((entry = readdir(list)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			(void)unlinkat(fd, entry->d_name, 0);
	(void)closedir(list);
	return unlinkat(at, name, AT_REMOVEDIR);
}

static int remove_parts(const struct ga_store *store, gpualloc_error *error)
{
	int result = 0;

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		result |= empty_folder(store->folder, parts[i]);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		result |= unlinkat(store->folder, files[i], 0);
	if (result < 0 || rmdir(store->path) < 0)
		return ga_error_errno(error, GPUALLOC_EPERM, errno, "cannot remove the store %s",
				      store->path);
	return 0;
}

/*
 * All of the ledger is held meanwhile: a lease that comes in between would lose its ground. It is
 * looked at again once it is held: another who removed it may have been faster, and what has the
 * name now may be in use. Who claims looks at the name after its locks, so whoever locked the old
 * one, before its name was gone or after, has no lease: models/removal.pml.
 */
int ga_store_remove(const char *path, gpualloc_error *error)
{
	ga_auto_store struct ga_store store = GA_STORE_CLOSED;
	ga_auto_close int ledger = -1;
	int result = ga_store_open(path, &store, error);

	if (result == 0)
		result = ga_store_open_ledger(&store, &ledger, error);
	if (result < 0)
		return result;
	result = ga_ledger_lock(ledger, ga_ledger_everything(), error);
	if (result == GPUALLOC_EBUSY)
		return ga_error_set(error, result,
				    "the store %s is in use: `gpualloc leases` says "
				    "by whom",
				    path);
	if (result == 0)
		result = ga_store_check_ledger(&store, ledger, error);
	return result < 0 ? result : remove_parts(&store, error);
}

/* ---- a store of one's own ---- */

/*
 * The session's runtime folder would go at the last logout while jobs live on, and a home may be
 * on NFS. In containers /tmp is an overlay, whose locks other containers do not see: then the
 * shared memory's folder, where there is one.
 */
int ga_store_private_path(char **ret_path, gpualloc_error *error)
{
	ga_auto_close int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *above = fd >= 0 && ga_store_locks_are_local(fd) ? "/tmp" : "/dev/shm";
	char *path;

	if (asprintf(&path, "%s/gpualloc-%u", above, (unsigned)geteuid()) < 0)
		return ga_error_memory(error);
	*ret_path = path;
	return 0;
}
