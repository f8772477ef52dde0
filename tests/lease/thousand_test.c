/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thousand waiters of one user, with the limits that the kernel has by default: 128 inotify
 * instances per user, 1024 open files per process. All wait, are served in the order in which they
 * came, and leave nothing behind.
 */
#include "leasing.h"
#include "waiters.h"

#include <stdio.h>
#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif

#ifdef IS_SANITIZED
enum { WAITING = 150 }; /* each of them costs many times as much */
#else
enum { WAITING = 1000 };
#endif

/*
 * A waiter that does not get to run within the others' patience is rightly passed over; on a busy
 * machine this may happen to a few.
 */
enum { PASSED_OVER_MOST = WAITING / 50 };

static void limit_files(void)
{
	struct rlimit files;

	CHECK_INT(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max < 1024 ? files.rlim_max : 1024;
	CHECK_INT(setrlimit(RLIMIT_NOFILE, &files), 0);
}

static void nothing_is_left(const char *path)
{
	gpualloc_leases *list = NULL;
	gpualloc_store *store = NULL;

	CHECK_INT(gpualloc_store_open(path, 0, &store, NULL), 0);
	CHECK_INT(gpualloc_leases_read(store, &list, NULL), 0);
	CHECK_INT(gpualloc_leases_waiter_count(list), 0);
	CHECK_INT(gpualloc_leases_held_count(list), 0);
	gpualloc_leases_free(list);
	gpualloc_store_free(store);
}

static void a_thousand_wait_and_are_served_in_order(void)
{
	static struct waiters waiters;
	static bool is_served[WAITING + 1];
	unsigned passed_over = 0, first = 1;
	char path[128];
	int64_t ns;

	limit_files();
	(void)snprintf(path, sizeof path, "%s/store", leasing_folder());
	CHECK_INT(waiters_begin(&waiters, test_path("machines/files/chaos.json"), path), 0);
	for (unsigned i = 0; i < WAITING; i++) {
		test_about("waiter %u", i + 1);
		CHECK_INT(waiters_add(&waiters), 0);
	}
	for (unsigned i = 0; i < WAITING; i++) {
		int who;

		test_about("grant %u", i + 1);
		who = waiters_kill_holder(&waiters, &ns);
		CHECK(who > 0 && who <= WAITING && !is_served[who]);
		is_served[who] = true;
		passed_over += (unsigned)who != first;
		while (first <= WAITING && is_served[first])
			first++;
	}
	waiters_end(&waiters);
	test_about("in the end");
	nothing_is_left(path);
	printf("# %d waited, %u times somebody was passed over\n", WAITING, passed_over);
	CHECK(passed_over <= PASSED_OVER_MOST);
}

static const struct test_case cases[] = {
	{"a thousand wait and are served in order", a_thousand_wait_and_are_served_in_order},
};

TEST_MAIN(cases)
