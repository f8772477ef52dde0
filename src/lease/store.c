/* SPDX-License-Identifier: Apache-2.0 */
/* The store, made, checked and opened; see store.h. */
#include "store.h"

#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif
#ifndef BTRFS_SUPER_MAGIC
#define BTRFS_SUPER_MAGIC 0x9123683e
#endif

static const char ledger_name[] = "ledger", arbiter_name[] = "arbiter", records_name[] = "records";

static int close_one(int fd)
{
	if (fd >= 0)
		close(fd);
	return -1;
}

void ga_store_close(struct ga_store *store)
{
	free(store->path);
	close_one(store->folder);
	close_one(store->probe);
	close_one(store->records);
	*store = GA_STORE_CLOSED;
}

bool ga_store_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* ---- whom to trust ---- */

static int distrust(const char *path, const char *why, gpualloc_error *error)
{
	return ga_error_set(error, GPUALLOC_EPERM,
			    "the store %s cannot be trusted: %s; `sudo gpualloc setup` makes a good "
			    "one, GPUALLOC_STATE_DIR names another",
			    path, why);
}

/* Locks that other machines or layers do not see would be grants that are none. */
static bool locks_are_local(int fd)
{
	struct statfs system;

	if (fstatfs(fd, &system) < 0)
		return false;
	switch ((unsigned long)system.f_type) {
	case TMPFS_MAGIC:
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC: return true;
	default: return false;
	}
}

static bool is_trusted_owner(uid_t owner)
{
	return owner == 0 || owner == geteuid();
}

static int check_folder(const char *path, int fd, gpualloc_error *error)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return ga_error_errno(error, GPUALLOC_EPERM, errno, "the store %s", path);
	if (!S_ISDIR(status.st_mode))
		return distrust(path, "it is no folder", error);
	if (!is_trusted_owner(status.st_uid))
		return distrust(path, "it belongs to another user than root", error);
	if ((status.st_mode & (S_IWGRP | S_IWOTH)) && !(status.st_mode & S_ISVTX))
		return distrust(path, "others may write to it, and it is not sticky", error);
	if (!locks_are_local(fd))
		return distrust(path, "its file system is none of tmpfs, ext4, xfs and btrfs, whose "
				      "locks every process of this machine sees", error);
	return 0;
}

static int check_file(const char *path, const char *name, int fd, gpualloc_error *error)
{
	struct stat status;
	char why[96];

	if (fstat(fd, &status) < 0)
		return ga_error_errno(error, GPUALLOC_EPERM, errno, "the store %s", path);
	if (S_ISREG(status.st_mode) && status.st_nlink == 1 && is_trusted_owner(status.st_uid))
		return 0;
	(void)snprintf(why, sizeof why, "its %s is not a plain file of root's or one's own", name);
	return distrust(path, why, error);
}

/* ---- opening ---- */

static int open_file(const struct ga_store *store, const char *name, int flags, int *ret_fd,
		     gpualloc_error *error)
{
	int fd = openat(store->folder, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int result;

	if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == EISDIR || errno == ENXIO))
		return distrust(store->path, "a part of it is missing or is not a plain file", error);
	if (fd < 0)
		return ga_error_errno(error, GPUALLOC_EPERM, errno, "%s/%s", store->path, name);
	result = check_file(store->path, name, fd, error);
	if (result < 0) {
		close(fd);
		return result;
	}
	*ret_fd = fd;
	return 0;
}

static int open_parts(struct ga_store *store, gpualloc_error *error)
{
	int result = open_file(store, ledger_name, O_RDONLY, &store->probe, error);

	if (result < 0)
		return result;
	store->records = openat(store->folder, records_name,
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return store->records < 0 ? distrust(store->path, "its folder of records is missing", error)
				  : check_folder(store->path, store->records, error);
}

int ga_store_open(const char *path, struct ga_store *ret_store, gpualloc_error *error)
{
	ga_auto_store struct ga_store store = GA_STORE_CLOSED;
	int result;

	if (ga_set_path(&store.path, path) < 0)
		return ga_error_memory(error);
	store.folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (store.folder < 0 && errno == ENOENT)
		return ga_error_set(error, GPUALLOC_EPERM,
				    "there is no store %s for leases: `sudo gpualloc setup` makes it "
				    "for everybody, --private takes one of your own that others do "
				    "not see",
				    path);
	if (store.folder < 0)
		return ga_error_errno(error, GPUALLOC_EPERM, errno, "the store %s", path);
	result = check_folder(path, store.folder, error);
	if (result == 0)
		result = open_parts(&store, error);
	if (result < 0)
		return result;
	*ret_store = store;
	store = GA_STORE_CLOSED;
	return 0;
}
