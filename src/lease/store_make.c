/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a store; see store.h. Every part appears with its final owner and mode at once, and the
 * store's own folder is opened last. So setup may be killed between any two steps: what is left can
 * be seen to be unfinished, and the next `gpualloc setup` finishes it.
 */
#include "store.h"

#include "leaf.h"
#include "store_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct modes {
	mode_t folder, part, ledger, arbiter;
};

/*
 * Cleaners of /tmp leave sticky files alone: a ledger must not be replaced because of its age. The
 * arbiter is only ever opened for reading: nobody needs to write to it or link it elsewhere.
 */
static const struct modes for_everybody = {0755, 01777, 0666, 0444},
			  for_one = {0700, 0700, 01600, 01400};
static const char new_name[] = ".new-";

static int fail(const char *path, const char *part, gpualloc_error *error)
{
	return ga_error_errno(error, GPUALLOC_EPERM, errno, "cannot make the store %s%s%s", path,
			      *part ? "/" : "", part);
}

/* chmod(), because the caller's umask would cut the mode of open() or mkdir(). */
static int set_mode(int fd, mode_t mode)
{
	char way[32];

	(void)snprintf(way, sizeof way, "/proc/self/fd/%d", fd);
	return chmod(way, mode);
}

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

/* O_PATH, because a umask may have taken away even our own right to open it. */
static int open_new(int at, const char *name)
{
	return openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* An earlier release made it with the caller's umask and was killed before it set the mode. */
static bool is_closed_to_us(int at, const char *name)
{
	struct stat status;

	return fstatat(at, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode) &&
	       status.st_uid == geteuid() && (status.st_mode & S_IRWXU) != S_IRWXU;
}

/* Made beside its place and moved there when it is complete. */
static int make_part(int folder, const char *name, mode_t mode)
{
	ga_auto_close int fd = -1;
	char beside[64];

	if (is_closed_to_us(folder, name)) {
		fd = open_new(folder, name);
		return fd < 0 ? -1 : set_mode(fd, mode);
	}
	if (faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	(void)snprintf(beside, sizeof beside, "%s%ld-%s", new_name, (long)getpid(), name);
	if (mkdirat(folder, beside, 0700) < 0 && errno != EEXIST)
		return -1;
	fd = open_new(folder, beside);
	if (fd >= 0 && set_mode(fd, mode) == 0 &&
	    renameat2(folder, beside, folder, name, RENAME_NOREPLACE) == 0)
		return 0;
	/* Somebody else was faster making this store, or swept ours away. */
	(void)unlinkat(folder, beside, AT_REMOVEDIR);
	return faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

static int make_parts(const char *path, int folder, const struct modes *modes,
		      gpualloc_error *error)
{
	static const char *const folders[] = {"records", "queue"};

	if (make_file(folder, "ledger", modes->ledger) < 0)
		return fail(path, "ledger", error);
	if (make_file(folder, "arbiter", modes->arbiter) < 0)
		return fail(path, "arbiter", error);
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
		if (make_part(folder, folders[i], modes->part) < 0)
			return fail(path, folders[i], error);
	return 0;
}

/* Closed to others until everything is there. */
static int make_folder(const char *path, bool *ret_made)
{
	ga_auto_close int fd = -1;

	*ret_made = mkdir(path, 0700) == 0;
	if (!*ret_made && errno != EEXIST)
		return -1;
	/* Or an earlier setup was killed before it set the mode. */
	if (!*ret_made && !is_closed_to_us(AT_FDCWD, path))
		return 0;
	fd = open_new(AT_FDCWD, path);
	return fd < 0 ? -1 : set_mode(fd, 0700);
}

/* In /tmp anybody may make a folder with the name that ours would have. */
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
		"remove it; instead of a private store use GPUALLOC_STATE_DIR=FOLDER, "
		"best in your home folder",
		path, user);
}

static int make(const char *path, const struct modes *modes, int *ret_folder, bool *ret_made,
		gpualloc_error *error)
{
	ga_auto_close int folder = -1;
	struct stat status;
	int result;

	if (make_folder(path, ret_made) < 0)
		return fail(path, "", error);
	/* Put nothing into a stranger's folder: they could replace it. */
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
	result = make_parts(path, folder, modes, error);
	if (result < 0)
		return result;
	*ret_folder = folder;
	folder = -1;
	return 0;
}

int ga_store_make(const char *path, bool for_all, gpualloc_error *error)
{
	const struct modes *modes = for_all ? &for_everybody : &for_one;
	ga_auto_close int folder = -1;
	bool made;
	int result = make(path, modes, &folder, &made, error);

	if (result < 0)
		return result;
	return made && set_mode(folder, modes->folder) < 0 ? fail(path, "", error) : 0;
}

/* ---- finishing what was left unfinished ---- */

static void sweep_new(int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (!list && fd >= 0)
		close(fd);
	while (list && (entry = readdir(list)))
		if (strncmp(entry->d_name, new_name, sizeof new_name - 1) == 0)
			(void)unlinkat(folder, entry->d_name, AT_REMOVEDIR);
	if (list)
		(void)closedir(list);
}

/*
 * Opens a part that is closed to everybody but its owner. A part that an administrator gave to a
 * group stays as it is. A part of the wrong kind, or not ours, is left alone: opening the store
 * says what is wrong with it.
 */
static int open_to_all(int folder, const char *name, const struct modes *modes)
{
	const struct ga_store_part *part = ga_store_part(name);
	ga_auto_close int fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	mode_t mode = part->is_folder     ? modes->part
		      : part->is_writable ? modes->ledger
					  : modes->arbiter;
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -1;
	if ((status.st_mode & S_IFMT) != (part->is_folder ? S_IFDIR : S_IFREG) ||
	    status.st_uid != geteuid())
		return 0;
	if (ga_store_part_is_shut(part, status.st_mode))
		return set_mode(fd, mode);
	if (!part->is_folder && !part->is_writable && (status.st_mode & GA_STORE_WRITABLE))
		return set_mode(fd, status.st_mode & 07777 & ~(mode_t)GA_STORE_WRITABLE);
	return 0;
}

/* Nobody reads what somebody has written into the ledger, and it takes up room. */
static void empty_ledger(int folder)
{
	ga_auto_close int fd =
		openat(folder, "ledger", O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;

	if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
	    status.st_uid == geteuid() && status.st_size > 0)
		(void)!ftruncate(fd, 0);
}

int ga_store_set_up(const char *path, gpualloc_error *error)
{
	ga_auto_close int folder = -1;
	struct stat status;
	bool made;
	int result = make(path, &for_everybody, &folder, &made, error);

	if (result < 0)
		return result;
	sweep_new(folder);
	for (size_t i = 0; i < GA_STORE_PARTS; i++)
		if (open_to_all(folder, ga_store_parts[i].name, &for_everybody) < 0)
			return fail(path, ga_store_parts[i].name, error);
	empty_ledger(folder);
	if (fstat(folder, &status) < 0)
		return fail(path, "", error);
	if (status.st_uid == geteuid() && !(status.st_mode & GA_STORE_OTHERS) &&
	    set_mode(folder, for_everybody.folder) < 0)
		return fail(path, "", error);
	return 0;
}

/* ---- the private store ---- */

/*
 * The session's runtime folder would vanish at the last logout while jobs go on, and a home folder
 * may be on NFS. In containers /tmp is an overlay, whose locks other containers do not see: then we
 * use the folder for shared memory, if there is one.
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
