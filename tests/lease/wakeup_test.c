/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiters are granted what a killed holder had, in the order in which they came. bench/wakeup.c
 * measures how soon.
 */
#include "test.h"
#include "waiters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[256];

/* A store for this case, on a file system whose locks are the kernel's own. */
static void begin(struct waiters *waiters, const char *name)
{
	static char store[300];
	static const char *const places[] = {"/tmp", "/dev/shm", "."};
	int result = -1;

	for (size_t i = 0; i < sizeof places / sizeof *places && result < 0; i++) {
		(void)snprintf(folder, sizeof folder, "%s/gpualloc-%s-XXXXXX", places[i], name);
		if (!mkdtemp(folder))
			continue;
		(void)snprintf(store, sizeof store, "%s/store", folder);
		result = waiters_begin(waiters, test_path("machines/files/chaos.json"), store);
	}
	CHECK_INT(result, 0);
}

static void end(struct waiters *waiters)
{
	char command[300];

	waiters_end(waiters);
	(void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
	CHECK_INT(system(command), 0); /* NOLINT: a path of our own making */
}

/* So many always wait; so many holders die. */
static void deaths(const char *name, unsigned waiting, unsigned count)
{
	struct waiters waiters;
	int64_t ns;

	begin(&waiters, name);
	for (unsigned i = 0; i < waiting; i++)
		CHECK_INT(waiters_add(&waiters), 0);
	for (unsigned i = 0; i < count; i++) {
		test_about("death %u", i + 1);
		CHECK_INT(waiters_kill_holder(&waiters, &ns), (int)i + 1);
		CHECK_INT(waiters_add(&waiters), 0);
	}
	end(&waiters);
}

static void one_waiter_is_granted_each_time(void)
{
	deaths("one", 1, 60);
}

static void many_waiters_are_granted_in_order(void)
{
	deaths("many", 40, 60);
}

static const struct test_case cases[] = {
	{"one waiter is granted each time", one_waiter_is_granted_each_time},
	{"many waiters are granted in order", many_waiters_are_granted_in_order},
};

TEST_MAIN(cases)
