/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of its preemption; see preemption.h. */
#include "preemption.h"

#include "cleanup.h"
#include "file.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { LINE_SIZE = 512, TEXT_SIZE = 4096, CONFIG_SIZE = 1 << 20 };

/* 1: anywhere, 0: not, -1: it is not said. */
static int is_anywhere(const char *mode)
{
	if (strcmp(mode, "none") == 0 || strcmp(mode, "voluntary") == 0)
		return 0;
	return strcmp(mode, "full") == 0 || strcmp(mode, "lazy") == 0 ? 1 : -1;
}

/* "none (voluntary) full": debugfs has it, which need not be mounted anywhere. */
static int said_now(void)
{
	ga_auto_close int system = (int)syscall(SYS_fsopen, "debugfs", FSOPEN_CLOEXEC);
	ga_auto_close int root = -1;
	ga_auto_close int file = -1;
	char text[LINE_SIZE], *start, *end;
	ssize_t size;

	if (system < 0 || syscall(SYS_fsconfig, system, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	root = (int)syscall(SYS_fsmount, system, FSMOUNT_CLOEXEC, 0);
	file = root < 0 ? -1 : openat(root, "sched/preempt", O_RDONLY | O_CLOEXEC);
	size = file < 0 ? -1 : read(file, text, sizeof text - 1);
	if (size <= 0)
		return -1;
	text[size] = 0;
	start = strchr(text, '(');
	end = start ? strchr(start, ')') : NULL;
	if (!end)
		return -1;
	*end = 0;
	return is_anywhere(start + 1);
}

/* Where debugfs is locked away. */
static int said_at_boot(void)
{
	char text[TEXT_SIZE], *rest = text, *word;
	int said = -1;

	if (ga_file_peek("", "/proc/cmdline", text, sizeof text) > 0)
		while ((word = strsep(&rest, " \n")))
			if (strncmp(word, "preempt=", 8) == 0)
				said = is_anywhere(word + 8);
	return said;
}

static int said_when_built(const char *release)
{
	char path[LINE_SIZE];
	ga_auto_free char *text = malloc(CONFIG_SIZE);

	(void)snprintf(path, sizeof path, "/boot/config-%s", release);
	if (!text || ga_file_peek("", path, text, CONFIG_SIZE) <= 0)
		return -1;
	return !strstr(text, "\nCONFIG_PREEMPT_NONE=y\n") &&
	       !strstr(text, "\nCONFIG_PREEMPT_VOLUNTARY=y\n");
}

bool preemption_is_anywhere(void)
{
	struct utsname name;
	int said;

	if (uname(&name) < 0 || strstr(name.version, "PREEMPT_RT"))
		return true;
	/* One that can choose says so. */
	if (!strstr(name.version, "PREEMPT_DYNAMIC"))
		return strstr(name.version, "PREEMPT") != NULL;
	said = said_now();
	if (said < 0)
		said = said_at_boot();
	if (said < 0)
		said = said_when_built(name.release);
	return said != 0;
}
