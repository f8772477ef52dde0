/* SPDX-License-Identifier: Apache-2.0 */
/* What kernels say of their preemption, where debugfs does not tell: their files lie in a folder.
 */
#include "cleanup.h"
#include "fence/preemption.h"
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/gpualloc-preemption-XXXXXX";

static void remove_root(void)
{
	(void)test_remove_tree(root);
}

static void make_root(void)
{
	static const char *const folders[] = {"/proc", "/boot", "/lib", "/lib/modules",
					      "/lib/modules/6.1.0-x"};
	char path[256];

	CHECK(mkdtemp(root) != NULL);
	CHECK_INT(atexit(remove_root), 0);
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		(void)snprintf(path, sizeof path, "%s%s", root, folders[i]);
		CHECK_INT(mkdir(path, 0755), 0);
	}
}

static void make(const char *path, const char *text)
{
	char whole[256];
	ga_auto_close int fd = -1;

	(void)snprintf(whole, sizeof whole, "%s%s", root, path);
	fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void check(const char *version, enum preemption expected)
{
	struct utsname kernel = {.release = "6.1.0-x"};

	test_about("%s", version);
	(void)snprintf(kernel.version, sizeof kernel.version, "%s", version);
	CHECK_INT(preemption_of(&kernel, root), expected);
}

static const char dynamic[] = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.1-1 (2026-01-01)";
static const char none[] = "CONFIG_X=y\nCONFIG_PREEMPT_NONE=y\n# CONFIG_PREEMPT is not set\n";
static const char voluntary[] = "CONFIG_X=y\nCONFIG_PREEMPT_VOLUNTARY=y\nCONFIG_Y=y\n";
static const char full[] = "CONFIG_X=y\n# CONFIG_PREEMPT_NONE is not set\nCONFIG_PREEMPT=y\n";

static void its_version_says_it_of_a_kernel_that_cannot_choose(void)
{
	make_root();
	make("/proc/cmdline", "preempt=none\n");
	check("#1 SMP Debian 5.10.1-1", PREEMPTION_LIMITED);
	check("#1 SMP PREEMPT Debian 5.10.1-1", PREEMPTION_ANYWHERE);
	check("#1 SMP PREEMPT_RT Debian 6.1.1-1", PREEMPTION_ANYWHERE);
	check(dynamic, PREEMPTION_LIMITED);
}

static void one_that_can_is_asked_how_it_was_started(void)
{
	static const struct {
		const char *line;
		enum preemption preemption;
	} lines[] = {
		{"quiet preempt=none\n", PREEMPTION_LIMITED},
		{"preempt=voluntary quiet", PREEMPTION_LIMITED},
		{"preempt=full\n", PREEMPTION_ANYWHERE},
		{"preempt=lazy\n", PREEMPTION_ANYWHERE},
		{"preempt=none preempt=full\n", PREEMPTION_ANYWHERE},
		{"nopreempt=none\n", PREEMPTION_UNKNOWN},
		{"preempt=other\n", PREEMPTION_UNKNOWN},
		{"", PREEMPTION_UNKNOWN},
	};

	make_root();
	check(dynamic, PREEMPTION_UNKNOWN);
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		make("/proc/cmdline", lines[i].line);
		check(dynamic, lines[i].preemption);
	}
}

static void then_how_it_was_built(void)
{
	make_root();
	make("/proc/cmdline", "quiet\n");
	make("/lib/modules/6.1.0-x/config", none);
	check(dynamic, PREEMPTION_LIMITED);
	make("/lib/modules/6.1.0-x/config", full);
	check(dynamic, PREEMPTION_ANYWHERE);
	make("/boot/config-6.1.0-x", voluntary);
	check(dynamic, PREEMPTION_LIMITED);
	make("/boot/config-6.1.0-x", full);
	check(dynamic, PREEMPTION_ANYWHERE);
	make("/proc/cmdline", "preempt=none\n");
	check(dynamic, PREEMPTION_LIMITED);
}

static const struct test_case cases[] = {
	{"its version says it of a kernel that cannot choose",
	 its_version_says_it_of_a_kernel_that_cannot_choose},
	{"one that can is asked how it was started", one_that_can_is_asked_how_it_was_started},
	{"then how it was built", then_how_it_was_built},
};
TEST_MAIN(cases)
