/* SPDX-License-Identifier: Apache-2.0 */
/* The probe's group and its bit; see fence_probe.h. */
#include "fence_probe.h"

#include "child.h"
#include "message.h"
#include "owned.h"
#include "owner.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GROUPADD_MS = 30 * 1000, GROUPADD_OUTPUT = 1 << 14 };
enum { MODE_SET = 02755, MODE_CLEAR = 0755 };

const char *fence_probe_path(void)
{
	return PROBE_PATH;
}

bool fence_probe_is_there(void)
{
	return access(PROBE_PATH, F_OK) == 0;
}

bool fence_probe_is_set(void)
{
	return ga_is_set_gid_of_root(PROBE_PATH);
}

/* ---- the group ---- */

bool fence_probe_group(gid_t *ret_group)
{
	const struct group *entry = getgrnam(FENCE_PROBE_GROUP);

	if (entry)
		*ret_group = entry->gr_gid;
	return entry != NULL;
}

static bool no_probe(const char *why)
{
	say("note: behind the fence users see only the GPUs that they may open, because %s cannot "
	    "ask for them: %s",
	    PROBE_PATH, why);
	return false;
}

/* With the first line of what groupadd says. */
static bool no_probe_by(const char *said)
{
	ga_auto_free char *line = ga_text_clean(said, strcspn(said, "\n"));
	char why[256];

	(void)snprintf(why, sizeof why, "`groupadd --system %s` made no such group%s%.150s",
		       FENCE_PROBE_GROUP, line && *line ? ": " : "", line ? line : "");
	return no_probe(why);
}

bool fence_probe_make_group(gid_t *ret_group)
{
	static const char usual[] = "/usr/sbin/groupadd";
	/* Root's PATH may be a user's, as by `su`. */
	const char *const words[] = {access(usual, X_OK) == 0 ? usual : "groupadd", "--system",
				     FENCE_PROBE_GROUP, NULL};
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_auto_child struct ga_child_result child = {0};

	if (fence_probe_group(ret_group))
		return true;
	if (ga_child_run(words, GROUPADD_MS, GROUPADD_OUTPUT, &child, error) < 0)
		return no_probe(gpualloc_error_message(error));
	if (fence_probe_group(ret_group))
		return true;
	return no_probe_by(child.errors.data ? child.errors.data : "");
}

/* ---- the bit ---- */

/* What is wrong with giving that file a group's rights; NULL if nothing is. */
static const char *why_not(const struct stat *status)
{
	if (!S_ISREG(status->st_mode))
		return "it is not a regular file";
	if (status->st_uid != 0)
		return "it does not belong to root";
	if (status->st_mode & (S_IWGRP | S_IWOTH))
		return "users other than root can write to it";
	if (status->st_nlink != 1)
		return "it has another name, too";
	return NULL;
}

static int open_probe(struct stat *ret_status)
{
	int fd = open(PROBE_PATH, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd >= 0 && fstat(fd, ret_status) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

bool fence_probe_set(gid_t group)
{
	struct stat status;
	ga_auto_close int fd = open_probe(&status);
	const char *why = fd < 0 ? strerror(errno) : why_not(&status);

	if (why)
		return no_probe(why);
	/* A change of owner takes the bit away, so it comes last. */
	if (status.st_gid != group && fchown(fd, 0, group) < 0)
		return no_probe(strerror(errno));
	if ((status.st_gid != group || (status.st_mode & 07777) != MODE_SET) &&
	    fchmod(fd, MODE_SET) < 0)
		return no_probe(strerror(errno));
	return true;
}

bool fence_probe_clear(void)
{
	struct stat status;
	ga_auto_close int fd = open_probe(&status);

	if (fd < 0 || !(status.st_mode & S_ISGID) || fchmod(fd, MODE_CLEAR) == 0)
		return true;
	(void)fail(gpualloc_exit_status(GPUALLOC_EPERM), "the set-gid bit of %s stays: %s",
		   PROBE_PATH, strerror(errno));
	return false;
}
