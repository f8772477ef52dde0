/* SPDX-License-Identifier: Apache-2.0 */
/* Checking and opening the store; see store.h. */
#include "store.h"

#include "leaf.h"
#include "ledger.h"
#include "owner.h"
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

static const char ledger_name[] = "ledger";

static void close_one(int fd)
{
	if (fd >= 0)
		close(fd);
}

void ga_store_close(struct ga_store *store)
{
	free(store->path);
	close_one(store->folder);
	close_one(store->probe);
	close_one(store->records);
	close_one(store->queue);
	*store = GA_STORE_CLOSED;
}

/* ---- whom to trust ---- */

static int distrust(const char *path, const char *why, gpualloc_error *error)
{
	return ga_error_remedy(
		error,
		ga_error_set(error, GPUALLOC_EPERM,
			     "the store %s cannot be trusted: %s; GPUALLOC_STATE_DIR names another",
			     path, why),
		GPUALLOC_REMEDY_SET_UP_STORE);
}

/* A lock that other machines or layers cannot see protects nothing. */
bool ga_store_locks_are_local(int fd)
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

static int check_folder(const char *path, int fd, gpualloc_error *error)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return ga_error_errno(error, GPUALLOC_EPERM, errno, "the store %s", path);
	if (!S_ISDIR(status.st_mode))
		return distrust(path, "it is not a folder", error);
	if (!ga_is_trusted_owner(fd, &status))
		return distrust(path, "it does not belong to root", error);
	if ((status.st_mode & (S_IWGRP | S_IWOTH)) && !(status.st_mode & S_ISVTX))
		return distrust(path, "others may write to it, and it is not sticky", error);
	if (!ga_store_locks_are_local(fd))
		return distrust(path,
				"its file system is not tmpfs, ext4, xfs or btrfs; only their "
				"locks are seen by every process on this machine",
				error);
	return 0;
}

static int check_file(const char *path, const char *name, int fd, gpualloc_error *error)
{
	struct stat status;
	char why[96];

	if (fstat(fd, &status) < 0)
		return ga_error_errno(error, GPUALLOC_EPERM, errno, "the store %s", path);
	if (S_ISREG(status.st_mode) && ga_is_trusted_owner(fd, &status))
		return 0;
	(void)snprintf(why, sizeof why, "its %s is not a plain file that root or you own", name);
	return distrust(path, why, error);
}

/* Meant for a group, or left unfinished: a user who is shut out cannot tell which. */
static int closed(const char *path, const char *name, gpualloc_error *error)
{
	return ga_error_remedy(
		error,
		ga_error_set(
			error, GPUALLOC_EPERM,
			"the store %s is closed to you%s%s: it is meant for others, or its setup was "
			"interrupted",
			path, *name ? " at its " : "", name),
		GPUALLOC_REMEDY_SET_UP_STORE);
}

/* ---- opening ---- */

static int open_file(const struct ga_store *store, const char *name, int flags, int *ret_fd,
		     gpualloc_error *error)
{
	int fd =
		openat(store->folder, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int result;

	if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == EISDIR || errno == ENXIO))
		return distrust(store->path, "a part of it is missing or is not a plain file",
				error);
	if (fd < 0 && errno == EACCES)
		return closed(store->path, name, error);
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

static int open_part(const struct ga_store *store, const char *name, int *ret_fd,
		     gpualloc_error *error)
{
	int fd = openat(store->folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char why[96];
	int result;

	if (fd < 0 && errno == EACCES)
		return closed(store->path, name, error);
	if (fd < 0) {
		(void)snprintf(why, sizeof why, "its folder %s is missing or is not a folder",
			       name);
		return distrust(store->path, why, error);
	}
	result = check_folder(store->path, fd, error);
	if (result < 0)
		close(fd);
	else
		*ret_fd = fd;
	return result;
}

/* Anybody who may rename the store's folder may replace it. */
static int check_parent(const char *path, int folder, gpualloc_error *error)
{
	ga_auto_close int parent = openat(folder, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat status, own;

	if (parent < 0 || fstat(parent, &status) < 0 || fstat(folder, &own) < 0)
		return ga_error_errno(error, GPUALLOC_EPERM, errno, "the folder above %s", path);
	if (!ga_is_trusted_owner(parent, &status))
		return distrust(path, "the folder above it does not belong to root", error);
	if ((status.st_mode & (S_IWGRP | S_IWOTH)) && !(status.st_mode & S_ISVTX))
		return distrust(path, "others may replace it: the folder above it is not sticky",
				error);
	/*
	 * In a folder where everybody may write, anybody may have made a store that shows no owner.
	 */
	if ((status.st_mode & (S_IWGRP | S_IWOTH)) && ga_is_nameless_owner(&own) &&
	    !ga_is_opened_as_owner(folder))
		return distrust(path,
				"this user namespace hides who made it, and anybody could have "
				"made it in the folder above",
				error);
	return 0;
}

static int no_store(const char *path, gpualloc_error *error)
{
	return ga_error_remedy(
		error, ga_error_set(error, GPUALLOC_EPERM, "there is no store %s for leases", path),
		GPUALLOC_REMEDY_SET_UP_STORE | GPUALLOC_REMEDY_OWN_STORE);
}

static int open_all(const char *path, struct ga_store *store, gpualloc_error *error)
{
	int result;

	store->folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (store->folder < 0 && errno == ENOENT)
		return no_store(path, error);
	if (store->folder < 0 && (errno == ENOTDIR || errno == ELOOP))
		return distrust(path, "it is not a folder", error);
	if (store->folder < 0 && errno == EACCES)
		return closed(path, "", error);
	if (store->folder < 0)
		return ga_error_errno(error, GPUALLOC_EPERM, errno, "the store %s", path);
	result = check_folder(path, store->folder, error);
	if (result == 0)
		result = check_parent(path, store->folder, error);
	if (result == 0)
		result = open_file(store, ledger_name, O_RDONLY, &store->probe, error);
	if (result == 0)
		result = open_part(store, "records", &store->records, error);
	if (result == 0)
		result = open_part(store, "queue", &store->queue, error);
	return result;
}

int ga_store_open(const char *path, struct ga_store *ret_store, gpualloc_error *error)
{
	ga_auto_store struct ga_store store = GA_STORE_CLOSED;
	int result;

	store.path = strdup(path);
	if (!store.path)
		return ga_error_memory(error);
	result = open_all(path, &store, error);
	if (result < 0)
		return result;
	*ret_store = store;
	store = GA_STORE_CLOSED;
	return 0;
}

int ga_store_copy(const struct ga_store *store, struct ga_store *ret_store, gpualloc_error *error)
{
	ga_auto_store struct ga_store copy = GA_STORE_CLOSED;

	copy.path = strdup(store->path);
	if (!copy.path)
		return ga_error_memory(error);
	copy.folder = fcntl(store->folder, F_DUPFD_CLOEXEC, 3);
	copy.probe = fcntl(store->probe, F_DUPFD_CLOEXEC, 3);
	copy.records = fcntl(store->records, F_DUPFD_CLOEXEC, 3);
	copy.queue = fcntl(store->queue, F_DUPFD_CLOEXEC, 3);
	if (copy.folder < 0 || copy.probe < 0 || copy.records < 0 || copy.queue < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "the store %s", store->path);
	*ret_store = copy;
	copy = GA_STORE_CLOSED;
	return 0;
}

int ga_store_open_ledger(const struct ga_store *store, int *ret_ledger, gpualloc_error *error)
{
	return open_file(store, ledger_name, O_RDWR, ret_ledger, error);
}

bool ga_store_is_ledger(const struct ga_store *store, int fd)
{
	struct stat ours, other;

	return fstat(store->probe, &ours) == 0 && fstat(fd, &other) == 0 &&
	       ours.st_dev == other.st_dev && ours.st_ino == other.st_ino;
}

int ga_store_check_ledger(const struct ga_store *store, int ledger, gpualloc_error *error)
{
	struct stat ours, named;

	if (fstat(ledger, &ours) == 0 &&
	    fstatat(store->folder, ledger_name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	    ours.st_dev == named.st_dev && ours.st_ino == named.st_ino)
		return 0;
	return ga_error_remedy(
		error,
		ga_error_set(
			error, GPUALLOC_EPERM,
			"the store %s has just been removed, and others do not see leases in it: "
			"try again",
			store->path),
		GPUALLOC_REMEDY_SET_UP_STORE);
}

bool ga_store_sweep(const struct ga_store *store, int folder, const char *name,
		    const struct ga_range *byte)
{
	ga_auto_close int guard = -1;

	/* Thousands of other people's files may lie there: each costs one look, no more. */
	if (!ga_leaf_is_ours_to_remove(folder, name))
		return false;
	return open_file(store, ledger_name, O_RDONLY, &guard, NULL) == 0 &&
	       ga_store_is_ledger(store, guard) && ga_ledger_guard(guard, *byte) &&
	       ga_leaf_sweep(folder, name);
}

void ga_store_nudge(const struct ga_store *store)
{
	int fd;

	if (ga_store_open_ledger(store, &fd, NULL) == 0)
		close(fd);
}
