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
#include <unistd.h>

enum { LINE_SIZE = 512, TEXT_SIZE = 4096, CONFIG_SIZE = 1 << 20 };

static enum preemption of_mode(const char *mode)
{
	if (strcmp(mode, "none") == 0 || strcmp(mode, "voluntary") == 0)
		return PREEMPTION_LIMITED;
	return strcmp(mode, "full") == 0 || strcmp(mode, "lazy") == 0 ? PREEMPTION_ANYWHERE
								      : PREEMPTION_UNKNOWN;
}

/* "none (voluntary) full": debugfs has it, which need not be mounted anywhere. */
static enum preemption said_now(void)
{
	ga_auto_close int system = (int)syscall(SYS_fsopen, "debugfs", FSOPEN_CLOEXEC);
	ga_auto_close int root = -1;
	ga_auto_close int file = -1;
	char text[LINE_SIZE], *start, *end;
	ssize_t size;

	if (system < 0 || syscall(SYS_fsconfig, system, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return PREEMPTION_UNKNOWN;
	root = (int)syscall(SYS_fsmount, system, FSMOUNT_CLOEXEC, 0);
	file = root < 0 ? -1 : openat(root, "sched/preempt", O_RDONLY | O_CLOEXEC);
	size = file < 0 ? -1 : read(file, text, sizeof text - 1);
	if (size <= 0)
		return PREEMPTION_UNKNOWN;
	text[size] = 0;
	start = strchr(text, '(');
	end = start ? strchr(start, ')') : NULL;
	if (!end)
		return PREEMPTION_UNKNOWN;
	*end = 0;
	return of_mode(start + 1);
}

/* Where debugfs is locked away, as by Secure Boot. The last one counts. */
static enum preemption said_at_boot(const char *root)
{
	char text[TEXT_SIZE], *rest = text, *word;
	enum preemption said = PREEMPTION_UNKNOWN;

	if (ga_file_peek(root, "/proc/cmdline", text, sizeof text) > 0)
		while ((word = strsep(&rest, " \n")))
			if (strncmp(word, "preempt=", 8) == 0)
				said = of_mode(word + 8);
	return said;
}

/* Distributions keep it in one of two places. */
static enum preemption said_when_built(const char *root, const char *release)
{
	static const struct {
		const char *before, *after;
	} places[] = {{"/boot/config-", ""}, {"/lib/modules/", "/config"}};
	ga_auto_free char *text = malloc(CONFIG_SIZE);
	char path[LINE_SIZE];

	for (size_t i = 0; text && i < sizeof places / sizeof *places; i++) {
		(void)snprintf(path, sizeof path, "%s%s%s", places[i].before, release,
			       places[i].after);
		if (ga_file_peek(root, path, text, CONFIG_SIZE) <= 0)
			continue;
		return strstr(text, "\nCONFIG_PREEMPT_NONE=y\n") ||
				       strstr(text, "\nCONFIG_PREEMPT_VOLUNTARY=y\n")
			       ? PREEMPTION_LIMITED
			       : PREEMPTION_ANYWHERE;
	}
	return PREEMPTION_UNKNOWN;
}

enum preemption preemption_of(const struct utsname *kernel, const char *root)
{
	enum preemption said = PREEMPTION_UNKNOWN;

	if (strstr(kernel->version, "PREEMPT_RT"))
		return PREEMPTION_ANYWHERE;
	/* One that can choose says so. */
	if (!strstr(kernel->version, "PREEMPT_DYNAMIC"))
		return strstr(kernel->version, "PREEMPT") ? PREEMPTION_ANYWHERE
							  : PREEMPTION_LIMITED;
	if (!*root)
		said = said_now();
	if (said == PREEMPTION_UNKNOWN)
		said = said_at_boot(root);
	return said == PREEMPTION_UNKNOWN ? said_when_built(root, kernel->release) : said;
}
