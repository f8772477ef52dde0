/* SPDX-License-Identifier: Apache-2.0 */
/* Who owns a file, even if the kernel hides that; see owner.h. */
#include "owner.h"

#include "file.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/*
 * In a user namespace the outer root shows as the overflow uid, and so does everybody else who is
 * not mapped. Without any mapping, so do we.
 */
bool ga_is_nameless_owner(const struct stat *status)
{
	char text[32], map[64];
	int64_t overflow;
	long length = ga_file_peek("", "/proc/sys/kernel/overflowuid", text, sizeof text);
	unsigned long inside, outside, count;

	if (length < 1 || !ga_text_number(text, (size_t)length, UINT32_MAX, &overflow) ||
	    status->st_uid != (uid_t)overflow)
		return false;
	length = ga_file_peek("", "/proc/self/uid_map", map, sizeof map);
	return length == 0 ||
	       (length > 0 && sscanf(map, "%lu %lu %lu", &inside, &outside, &count) == 3 &&
		!(inside == 0 && outside == 0 && count == UINT32_MAX));
}

/* The kernel knows: only the owner may open a file in this way. */
bool ga_is_opened_as_owner(int fd)
{
	char path[32];
	int probe;

	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	probe = open(path, O_RDONLY | O_NOATIME | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (probe >= 0)
		close(probe);
	return probe >= 0;
}

/* If we do not know the owner and cannot write the file, we assume that it is root's. */
bool ga_is_trusted_owner(int fd, const struct stat *status)
{
	if (ga_is_nameless_owner(status))
		return !S_ISDIR(status->st_mode) || (status->st_mode & S_ISVTX) ||
		       faccessat(fd, ".", W_OK, AT_EACCESS) < 0 || ga_is_opened_as_owner(fd);
	return status->st_uid == 0 || status->st_uid == geteuid();
}

/* Root of a user namespace is some user outside. Where /proc does not say, there is none. */
bool ga_is_root_outside(void)
{
	char map[64];
	unsigned long inside, outside, count;

	if (geteuid() != 0)
		return false;
	return ga_file_peek("", "/proc/self/uid_map", map, sizeof map) <= 0 ||
	       sscanf(map, "%lu %lu %lu", &inside, &outside, &count) != 3 ||
	       (inside == 0 && outside == 0 && count == UINT32_MAX);
}

bool ga_is_set_gid_of_root(const char *path)
{
	/* Without the right to execute, the bit means something else. */
	const mode_t wanted = S_ISGID | S_IXGRP, unwanted = S_ISUID | S_IWGRP | S_IWOTH;
	struct stat status;

	return lstat(path, &status) == 0 && S_ISREG(status.st_mode) &&
	       (status.st_mode & (wanted | unwanted)) == wanted &&
	       (status.st_uid == 0 || ga_is_nameless_owner(&status));
}
