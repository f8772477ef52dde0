/* SPDX-License-Identifier: Apache-2.0 */
/* Closes whatever is open; see descriptors.h. */
#include "descriptors.h"

#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

/* A folder of that name that is not the kernel's does not say what is open. */
static DIR *open_list(int *ret_errno)
{
	DIR *list = opendir("/proc/self/fd");
	struct statfs system;

	if (!list) {
		*ret_errno = errno;
		return NULL;
	}
	if (fstatfs(dirfd(list), &system) == 0 && system.f_type == PROC_SUPER_MAGIC)
		return list;
	(void)closedir(list);
	*ret_errno = ENOENT;
	return NULL;
}

/*
 * How many it closed; it closes the list itself last. A negative errno if the list cannot be read.
 */
static int close_listed(int first)
{
	const struct dirent *entry;
	int closed = 0, failure = 0;
	DIR *list = open_list(&failure);

	if (!list)
		return -failure;
	for (errno = 0; (entry = readdir(list)); errno = 0) {
		char *end;
		long fd = strtol(entry->d_name, &end, 10);

		/* An error of close() is about the file: the descriptor is closed even so. */
		if (end != entry->d_name && !*end && fd >= first && fd != dirfd(list)) {
			(void)close((int)fd);
			closed++;
		}
	}
	failure = errno;
	(void)closedir(list);
	return failure ? -failure : closed;
}

int ga_descriptors_close(int first)
{
	int closed;

	if (close_range((unsigned)first, ~0U, 0) == 0)
		return 0;
	/* Opening the list needs a descriptor, and there may be none left. */
	(void)close(first);
	/* The list changes while it is read and may leave some out. */
	do
		closed = close_listed(first);
	while (closed > 0);
	return closed;
}
