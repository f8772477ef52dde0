/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record of a lease's name that is another user's: written before the holder's own, or put in its
 * place by somebody who watches after a process of the holder's user took it for a dead one and
 * removed it. This program's own linkat() does both, at the worst moment: only chance would else.
 */
#include "leasing.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WATCHER = 65534 };

static int calls;         /* records that this process has given a name */
static int replaced_most; /* as many of them become the watcher's */

static void make_watchers(int folder, const char *name)
{
	int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	CHECK_INT(fchown(fd, WATCHER, WATCHER), 0);
	close(fd);
}

static bool is_of_records(int folder)
{
	char way[32], path[256] = "";

	(void)snprintf(way, sizeof way, "/proc/self/fd/%d", folder);
	(void)!readlink(way, path, sizeof path - 1);
	return strcmp(strrchr(path, '/') ? strrchr(path, '/') : "", "/records") == 0;
}

/* The first record's name is taken; the next ones are removed and taken once they are there. */
int linkat(int from_folder, const char *from, int folder, const char *name, int flags)
{
	int number = is_of_records(folder) ? calls++ : -1;
	long result;

	if (number == 0)
		make_watchers(folder, name);
	result = syscall(SYS_linkat, from_folder, from, folder, name, flags);
	if (result == 0 && number > 0 && number <= replaced_most) {
		CHECK_INT(unlinkat(folder, name, 0), 0);
		make_watchers(folder, name);
	}
	return (int)result;
}

static int64_t owner_of(const gpualloc_lease *lease)
{
	struct stat status;
	char path[128];

	(void)snprintf(path, sizeof path, "%s/store/records/%s", leasing_folder(),
		       gpualloc_lease_id(lease));
	return stat(path, &status) == 0 ? (int64_t)status.st_uid : -1;
}

static void is_not_shown_as_another_users(void)
{
	gpualloc_store *store;
	gpualloc_leases *list = NULL;
	gpualloc_lease *lease = NULL;

	if (geteuid() != 0)
		test_skip("only root can write another user's record");
	store = leasing_store();
	replaced_most = 3;
	CHECK_INT(leasing_ask(store, "dgx1-volta", 2, 0, &lease, NULL), 0);
	CHECK_INT(owner_of(lease), 0);
	CHECK_INT(calls, 1 + replaced_most + 1);
	CHECK_TEXT(gpualloc_lease_note(lease, 0), NULL);
	CHECK_INT(gpualloc_leases_read(store, &list, NULL), 0);
	CHECK_INT(gpualloc_leases_held_count(list), 1);
	CHECK_TEXT(gpualloc_held_id(gpualloc_leases_held(list, 0)), gpualloc_lease_id(lease));
	CHECK_INT(gpualloc_held_pid(gpualloc_leases_held(list, 0)), getpid());
	gpualloc_leases_free(list);
	gpualloc_lease_free(lease);
	gpualloc_store_free(store);
}

static const struct test_case cases[] = {
	{"root's lease is not shown as another user's", is_not_shown_as_another_users},
};

TEST_MAIN(cases)
