/* SPDX-License-Identifier: Apache-2.0 */
/* Leases within leases: proved, not believed; and many at once, with a witness outside the store.
 */
#include "leasing.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char dgx[] = "dgx1-volta";
enum { STRANGER = 12345 };

static bool has(const gpualloc_lease *lease, const char *uuid)
{
	for (size_t i = 0; i < gpualloc_lease_device_count(lease); i++)
		if (strcmp(gpualloc_device_uuid(gpualloc_lease_device(lease, i)), uuid) == 0)
			return true;
	return false;
}

static void enter(gpualloc_lease *lease)
{
	char text[16];
	int fd;

	CHECK_INT(gpualloc_lease_hand_on(lease, &fd, NULL), 0);
	(void)snprintf(text, sizeof text, "%d", fd);
	CHECK_INT(setenv("GPUALLOC_FD", text, 1), 0);
	CHECK_INT(setenv("GPUALLOC_LEASE", gpualloc_lease_id(lease), 1), 0);
}

static void the_leases_own_devices_are_shared_out(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease *outer = NULL, *inner[3] = {NULL};
	gpualloc_error *error = gpualloc_error_new();

	CHECK_INT(leasing_ask(store, dgx, 2, 0, &outer, NULL), 0);
	enter(outer);
	for (int i = 0; i < 2; i++) {
		CHECK_INT(leasing_ask(store, dgx, 1, 0, &inner[i], error), 0);
		CHECK(has(outer, gpualloc_device_uuid(gpualloc_lease_device(inner[i], 0))));
		CHECK_TEXT(gpualloc_lease_note(inner[i], 0), NULL);
	}
	CHECK(strcmp(gpualloc_device_uuid(gpualloc_lease_device(inner[0], 0)),
		     gpualloc_device_uuid(gpualloc_lease_device(inner[1], 0))) != 0);
	CHECK_INT(leasing_ask(store, dgx, 1, 0, &inner[2], error), GPUALLOC_EBUSY);
	CHECK_INT(leasing_ask(store, dgx, 3, 0, &inner[2], error), GPUALLOC_EIMPOSSIBLE);
	CHECK_HAS(gpualloc_error_message(error), "not part of lease");
	gpualloc_lease_free(inner[0]);
	CHECK_INT(leasing_ask(store, dgx, 1, 0, &inner[0], error), 0);
	/* Deeper still. */
	enter(inner[0]);
	CHECK_INT(leasing_ask(store, dgx, 1, 0, &inner[2], error), 0);
	gpualloc_lease_free(inner[2]);
	gpualloc_lease_free(inner[0]);
	gpualloc_lease_free(inner[1]);
	gpualloc_lease_free(outer);
	gpualloc_error_free(error);
	gpualloc_store_free(store);
}

static void budgets_are_shared_out_too(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease *outer = NULL, *inner[2] = {NULL};
	const int64_t gib = INT64_C(1) << 30;

	CHECK_INT(leasing_share(store, dgx, "3", 8 * gib, &outer, NULL), 0);
	enter(outer);
	CHECK_INT(leasing_share(store, dgx, "3", 5 * gib, &inner[0], NULL), 0);
	CHECK_INT(leasing_share(store, dgx, "3", 4 * gib, &inner[1], NULL), GPUALLOC_EBUSY);
	CHECK_INT(leasing_share(store, dgx, "3", 3 * gib, &inner[1], NULL), 0);
	gpualloc_lease_free(inner[0]);
	gpualloc_lease_free(inner[1]);
	gpualloc_lease_free(outer);
	gpualloc_store_free(store);
}

static void what_is_within_outlives_what_is_around(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease *outer = NULL, *inner = NULL, *other = NULL;

	CHECK_INT(leasing_ask(store, dgx, 8, 0, &outer, NULL), 0);
	enter(outer);
	CHECK_INT(leasing_ask(store, dgx, 1, 0, &inner, NULL), 0);
	gpualloc_lease_free(outer);
	unsetenv("GPUALLOC_LEASE");
	unsetenv("GPUALLOC_FD");
	CHECK_INT(leasing_ask(store, dgx, 8, 0, &other, NULL), GPUALLOC_EBUSY);
	CHECK_INT(leasing_ask(store, dgx, 7, 0, &other, NULL), 0);
	CHECK(!has(other, gpualloc_device_uuid(gpualloc_lease_device(inner, 0))));
	gpualloc_lease_free(other);
	gpualloc_lease_free(inner);
	CHECK_INT(leasing_ask(store, dgx, 8, 0, &other, NULL), 0);
	gpualloc_lease_free(other);
	gpualloc_store_free(store);
}

static void a_stale_name_is_ignored_and_said(void)
{
	gpualloc_store *store = leasing_store();
	const char *const names[] = {"0123456789", "nonsense", "../../../etc/passwd"};

	for (size_t i = 0; i < 3; i++) {
		gpualloc_lease_wish *wish = gpualloc_lease_wish_new();
		gpualloc_request *request = gpualloc_request_new();
		gpualloc_lease *lease = NULL;

		CHECK_INT(setenv("GPUALLOC_LEASE", names[i], 1), 0);
		CHECK_INT(setenv("GPUALLOC_FD", "1", 1), 0);
		CHECK_INT(gpualloc_lease_wish_set_machine(wish, dgx, 0), 0);
		gpualloc_request_set_count(request, 8);
		CHECK_INT(gpualloc_request_set_environment(request, "3", "PCI_BUS_ID"), 0);
		CHECK_INT(gpualloc_lease_acquire(store, request, wish, &lease, NULL), 0);
		CHECK_INT(gpualloc_lease_device_count(lease), 8);
		CHECK_HAS(gpualloc_lease_note(lease, 0), "GPUALLOC_LEASE");
		gpualloc_lease_free(lease);
		gpualloc_lease_wish_free(wish);
		gpualloc_request_free(request);
	}
	gpualloc_store_free(store);
}

static void another_users_lease_is_no_proof(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease *outer = NULL, *inner = NULL;
	int status;
	pid_t child;

	if (geteuid() != 0)
		test_skip("needs root, to be somebody else");
	CHECK_INT(leasing_ask(store, dgx, 4, 0, &outer, NULL), 0);
	CHECK_INT(setenv("GPUALLOC_LEASE", gpualloc_lease_id(outer), 1), 0);
	child = fork();
	if (child == 0) {
		if (setresgid(STRANGER, STRANGER, STRANGER) < 0 ||
		    setresuid(STRANGER, STRANGER, STRANGER) < 0)
			_exit(1);
		if (leasing_ask(store, dgx, 4, 0, &inner, NULL) < 0 ||
		    !gpualloc_lease_note(inner, 0))
			_exit(2);
		for (size_t i = 0; i < 4; i++)
			if (has(outer, gpualloc_device_uuid(gpualloc_lease_device(inner, i))))
				_exit(3);
		_exit(0);
	}
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK_INT(status, 0);
	/* By the same user without the descriptor, as children of some launchers are. */
	CHECK_INT(leasing_ask(store, dgx, 4, 0, &inner, NULL), 0);
	CHECK(has(outer, gpualloc_device_uuid(gpualloc_lease_device(inner, 0))));
	gpualloc_lease_free(inner);
	gpualloc_lease_free(outer);
	gpualloc_store_free(store);
}

/* ---- many at once; the witness is a file that the holders write with locks of its own ---- */

enum { DEVICES = 8, RUNNERS = 16, ROUNDS = 40 };

static void witness(int fd, const gpualloc_lease *lease, char before, char after)
{
	for (size_t i = 0; i < gpualloc_lease_device_count(lease); i++) {
		off_t at = (off_t)gpualloc_device_index(gpualloc_lease_device(lease, i));
		char byte = 0;

		if (pread(fd, &byte, 1, at) != 1 || byte != before)
			_exit(3);
		if (pwrite(fd, &after, 1, at) != 1)
			_exit(4);
	}
}

static _Noreturn void run_and_stop(gpualloc_store *store, int fd, unsigned seed)
{
	for (int round = 0; round < ROUNDS; round++) {
		gpualloc_lease *lease = NULL;
		int64_t count = 1 + (int64_t)(rand_r(&seed) % 4);
		bool waits = rand_r(&seed) % 2;
		int result = leasing_ask(store, dgx, count, waits ? -1 : 0, &lease, NULL);

		if (result == GPUALLOC_EBUSY && !waits)
			continue;
		if (result < 0)
			_exit(2);
		witness(fd, lease, '-', 'X');
		witness(fd, lease, 'X', '-');
		if (rand_r(&seed) % 2)
			(void)gpualloc_lease_release(lease, NULL);
		gpualloc_lease_free(lease);
	}
	_exit(0);
}

static void no_two_have_one_device(void)
{
	gpualloc_store *store = leasing_store();
	char path[128];
	gpualloc_lease *lease = NULL;
	int fd, status;

	(void)snprintf(path, sizeof path, "%s/witness", leasing_folder());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK_INT(write(fd, "--------", DEVICES), DEVICES);
	for (unsigned i = 0; i < RUNNERS; i++)
		if (fork() == 0)
			run_and_stop(store, fd, i + 1);
	for (int i = 0; i < RUNNERS; i++) {
		CHECK(wait(&status) > 0);
		CHECK_INT(status, 0);
	}
	CHECK_INT(leasing_ask(store, dgx, DEVICES, 0, &lease, NULL), 0);
	gpualloc_lease_free(lease);
	gpualloc_store_free(store);
}

static const struct test_case cases[] = {
	{"the lease's own devices are shared out", the_leases_own_devices_are_shared_out},
	{"budgets are shared out too", budgets_are_shared_out_too},
	{"an inner lease outlives the outer one", what_is_within_outlives_what_is_around},
	{"a stale name is ignored, and said", a_stale_name_is_ignored_and_said},
	{"another user's lease proves nothing", another_users_lease_is_no_proof},
	{"no two have one device", no_two_have_one_device},
};
TEST_MAIN(cases)
