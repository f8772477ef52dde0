/* SPDX-License-Identifier: Apache-2.0 */
/* The folders of pins; see pins.h. */
#include "pins.h"

#include "cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define BPF_FILES "/sys/fs/bpf"

static const char *const parts[] = {"hooks", "maps"};
enum { PARTS = sizeof parts / sizeof *parts };

static void close_folder(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

int fence_pins_check(gpualloc_error *error)
{
	return geteuid() == 0 ? 0
			      : ga_error_set(error, GPUALLOC_EPERM, "only root can see the fence");
}

/* Only root can open the file, so nobody else can keep us waiting. */
int fence_lock(void)
{
	int fd = open("/run/gpualloc-fence.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	while (fd >= 0 && flock(fd, LOCK_EX) < 0 && errno == EINTR)
		;
	return fd;
}

int fence_pins_possible(gpualloc_error *error)
{
	struct statfs status;

	if (statfs(BPF_FILES, &status) < 0)
		return ga_error_errno(error, GPUALLOC_EIMPOSSIBLE, errno,
				      "this kernel has no " BPF_FILES);
	if (status.f_type != (__typeof__(status.f_type))BPF_FS_MAGIC)
		return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
				    BPF_FILES
				    " is not mounted: `mount -t bpf -o mode=700 bpf " BPF_FILES
				    "`, which systemd does at boot");
	return 0;
}

bool fence_pins_there(const char *folder)
{
	struct statfs system;
	struct stat status;

	/* What others can make where the mount lets them, is no fence, and not ours to empty. */
	return lstat(folder, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == 0 &&
	       statfs(folder, &system) == 0 &&
	       system.f_type == (__typeof__(system.f_type))BPF_FS_MAGIC;
}

static int failed(const char *what, const char *path, gpualloc_error *error)
{
	return ga_error_errno(error, GPUALLOC_EPERM, errno, "cannot %s %s", what, path);
}

int fence_pins_make(const char *folder, gpualloc_error *error)
{
	char path[128];

	if (mkdir(folder, 0700) < 0)
		return failed("make", folder, error);
	for (size_t i = 0; i < PARTS; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", folder, parts[i]);
		if (mkdir(path, 0700) < 0)
			return failed("make", path, error);
	}
	return 0;
}

/* A hook that is gone refuses nothing any more, so the one that refuses goes first. */
static int empty(const char *path, gpualloc_error *error)
{
	ga_cleanup(close_folder) DIR *folder = opendir(path);
	const struct dirent *entry;

	if (!folder)
		return errno == ENOENT ? 0 : failed("read", path, error);
	(void)unlinkat(dirfd(folder), "file_open", 0);
	while ((entry = readdir(folder)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    unlinkat(dirfd(folder), entry->d_name, 0) < 0 && errno != ENOENT)
			return failed("empty", path, error);
	return rmdir(path) < 0 ? failed("remove", path, error) : 0;
}

int fence_pins_remove(const char *folder, gpualloc_error *error)
{
	char path[128];
	int result = 0;

	if (!fence_pins_there(folder))
		return 0;
	for (size_t i = 0; result == 0 && i < PARTS; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", folder, parts[i]);
		result = empty(path, error);
	}
	if (result == 0)
		result = empty(folder, error);
	return result < 0 ? result : 1;
}

int fence_pins_recover(gpualloc_error *error)
{
	if (!fence_pins_there(FENCE_PINS) && fence_pins_there(FENCE_OLD) &&
	    rename(FENCE_OLD, FENCE_PINS) < 0)
		return failed("rename", FENCE_OLD, error);
	if (fence_pins_remove(FENCE_OLD, error) < 0 || fence_pins_remove(FENCE_NEW, error) < 0)
		return GPUALLOC_EPERM;
	return 0;
}

int fence_pins_replace(gpualloc_error *error)
{
	if (fence_pins_there(FENCE_PINS) && rename(FENCE_PINS, FENCE_OLD) < 0)
		return failed("rename", FENCE_PINS, error);
	if (rename(FENCE_NEW, FENCE_PINS) < 0)
		return failed("rename", FENCE_NEW, error);
	/* Both stand until here: no moment is without one. */
	return fence_pins_remove(FENCE_OLD, error) < 0 ? GPUALLOC_EPERM : 0;
}
