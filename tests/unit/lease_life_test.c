/* SPDX-License-Identifier: Apache-2.0 */
/* A lease's life: acquired, shown, inherited, killed, released, and by whom. */
#include "leasing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char dgx[] = "dgx1-volta", mig[] = "a100-mig";

static size_t leases(gpualloc_store *store)
{
	gpualloc_leases *list = NULL;
	size_t count;

	CHECK_INT(gpualloc_leases_read(store, &list, NULL), 0);
	count = gpualloc_leases_held_count(list);
	gpualloc_leases_free(list);
	return count;
}

static void is_shown_while_it_lives(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_leases *list = NULL;
	gpualloc_lease *lease = NULL;
	gpualloc_error *error = gpualloc_error_new();

	CHECK_INT(leasing_ask(store, dgx, 2, 0, &lease, error), 0);
	CHECK_TEXT(gpualloc_error_message(error), "");
	CHECK_INT(gpualloc_lease_device_count(lease), 2);
	CHECK_INT(gpualloc_lease_memory(lease), -1);
	CHECK_TEXT(gpualloc_lease_note(lease, 0), NULL);
	CHECK_INT(gpualloc_leases_read(store, &list, NULL), 0);
	CHECK_INT(gpualloc_leases_held_count(list), 1);
	CHECK_TEXT(gpualloc_held_id(gpualloc_leases_held(list, 0)), gpualloc_lease_id(lease));
	CHECK_INT(gpualloc_held_pid(gpualloc_leases_held(list, 0)), getpid());
	CHECK_INT(gpualloc_held_device_count(gpualloc_leases_held(list, 0)), 2);
	CHECK_TEXT(gpualloc_held_device(gpualloc_leases_held(list, 0), 1),
		   gpualloc_device_uuid(gpualloc_lease_device(lease, 1)));
	gpualloc_leases_free(list);
	gpualloc_lease_free(lease);
	CHECK_INT(leases(store), 0);
	gpualloc_error_free(error);
	gpualloc_store_free(store);
}

static void a_device_knows_its_holder(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_machine *machine = NULL;
	gpualloc_lease *lease = NULL;
	const gpualloc_device *device;
	char reason[256];
	size_t leased = 0;

	CHECK_INT(leasing_ask(store, dgx, 3, 0, &lease, NULL), 0);
	CHECK_INT(gpualloc_machine_open(dgx, 0, &machine, NULL), 0);
	CHECK_INT(gpualloc_machine_add_leases(machine, store, NULL), 0);
	for (size_t i = 0; i < 8; i++) {
		device = gpualloc_machine_device(machine, i);
		if (gpualloc_device_state(device) != GPUALLOC_STATE_LEASED)
			continue;
		leased++;
		CHECK_TEXT(gpualloc_device_lease(device), gpualloc_lease_id(lease));
		CHECK(gpualloc_device_lease_user(device) != NULL);
		CHECK(gpualloc_device_reason(device, reason, sizeof reason) > 0);
		CHECK_HAS(reason, gpualloc_lease_id(lease));
	}
	CHECK_INT(leased, 3);
	gpualloc_lease_free(lease);
	gpualloc_machine_free(machine);
	gpualloc_store_free(store);
}

static void a_refusal_names_the_holder(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease *lease = NULL, *other = NULL;
	gpualloc_error *error = gpualloc_error_new();
	char pid[32];

	CHECK_INT(leasing_ask(store, dgx, 7, 0, &lease, NULL), 0);
	CHECK_INT(leasing_ask(store, dgx, 2, 0, &other, error), GPUALLOC_EBUSY);
	(void)snprintf(pid, sizeof pid, "process %d ", (int)getpid());
	CHECK_HAS(gpualloc_error_message(error), pid);
	CHECK_HAS(gpualloc_error_message(error), gpualloc_lease_id(lease));
	CHECK_INT(leasing_ask(store, dgx, 9, 0, &other, error), GPUALLOC_EIMPOSSIBLE);
	CHECK_INT(leasing_ask(store, dgx, 1, 0, &other, NULL), 0);
	gpualloc_lease_free(other);
	gpualloc_lease_free(lease);
	gpualloc_error_free(error);
	gpualloc_store_free(store);
}

static void a_kill_ends_it(void)
{
	gpualloc_store *store = leasing_store();
	struct leasing_child child = leasing_hold(store, dgx, 8, 0);
	gpualloc_lease *lease = NULL;

	CHECK_INT(leasing_said(&child), 'y');
	CHECK_INT(leasing_ask(store, dgx, 1, 0, &lease, NULL), GPUALLOC_EBUSY);
	leasing_kill(&child);
	CHECK_INT(leasing_ask(store, dgx, 8, 0, &lease, NULL), 0);
	CHECK_INT(leases(store), 1);
	gpualloc_lease_free(lease);
	gpualloc_store_free(store);
}

static void a_forks_child_cannot_release_it(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease *lease = NULL, *other = NULL;
	int status;
	pid_t child;

	CHECK_INT(leasing_ask(store, dgx, 8, 0, &lease, NULL), 0);
	child = fork();
	if (child == 0) {
		int result = gpualloc_lease_release(lease, NULL);

		gpualloc_lease_free(lease);
		_exit(result == GPUALLOC_EPERM ? 0 : 1);
	}
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK_INT(status, 0);
	CHECK_INT(leases(store), 1);
	CHECK_INT(leasing_ask(store, dgx, 1, 0, &other, NULL), GPUALLOC_EBUSY);
	CHECK_INT(gpualloc_lease_release(lease, NULL), 0);
	CHECK_INT(gpualloc_lease_release(lease, NULL), 0);
	CHECK_INT(leasing_ask(store, dgx, 8, 0, &other, NULL), 0);
	gpualloc_lease_free(other);
	gpualloc_lease_free(lease);
	gpualloc_store_free(store);
}

/* cat holds what it inherited until its input ends. As a subreaper we learn of its end. */
static void what_inherits_it_keeps_it(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease *lease = NULL, *other = NULL;
	int in[2], fd = -1, status;
	pid_t parent;

	CHECK_INT(pipe2(in, O_CLOEXEC), 0);
	CHECK_INT(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	parent = fork();
	if (parent == 0) {
		if (leasing_ask(store, dgx, 8, 0, &lease, NULL) < 0 ||
		    gpualloc_lease_hand_on(lease, &fd, NULL) < 0 || fd < 512)
			_exit(1);
		if (fork() > 0)
			_exit(0);
		if (dup2(in[0], 0) == 0)
			(void)execl("/bin/cat", "cat", (char *)NULL);
		_exit(1);
	}
	CHECK_INT(waitpid(parent, &status, 0), parent);
	CHECK_INT(status, 0);
	close(in[0]);
	CHECK_INT(leases(store), 1);
	CHECK_INT(leasing_ask(store, dgx, 1, 0, &other, NULL), GPUALLOC_EBUSY);
	close(in[1]);
	CHECK(wait(&status) > 0);
	CHECK_INT(leasing_ask(store, dgx, 8, 0, &other, NULL), 0);
	gpualloc_lease_free(other);
	gpualloc_store_free(store);
}

static void a_lease_is_not_inherited_unasked(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease *lease = NULL;
	int fd;

	CHECK_INT(leasing_ask(store, dgx, 1, 0, &lease, NULL), 0);
	CHECK_INT(system("ls -l /proc/self/fd | grep -q ledger"), 256);
	CHECK_INT(gpualloc_lease_hand_on(lease, &fd, NULL), 0);
	CHECK_INT(system("ls -l /proc/self/fd | grep -q ledger"), 0);
	gpualloc_lease_free(lease);
	gpualloc_store_free(store);
}

static void a_device_without_uuid_cannot_be_leased(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease *lease = NULL;
	gpualloc_error *error = gpualloc_error_new();
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/machine", leasing_folder());
	file = fopen(path, "w");
	CHECK(file != NULL);
	(void)fputs("{\"gpualloc_machine\":1,\"devices\":[{\"index\":0}],\"pcie\":[[\"X\"]]}",
		    file);
	(void)fclose(file);
	CHECK_INT(leasing_ask(store, path, 1, 0, &lease, error), GPUALLOC_EIMPOSSIBLE);
	CHECK_HAS(gpualloc_error_message(error), "no UUID");
	gpualloc_error_free(error);
	gpualloc_store_free(store);
}

static void budgets_share_a_device(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease *lease[4] = {NULL};
	const int64_t gib = INT64_C(1) << 30;
	gpualloc_error *error = gpualloc_error_new();

	CHECK_INT(leasing_share(store, dgx, "0", 6 * gib, &lease[0], error), 0);
	CHECK_INT(gpualloc_lease_memory(lease[0]), 6 * gib);
	CHECK_INT(leasing_share(store, dgx, "0", 6 * gib, &lease[1], NULL), 0);
	CHECK_INT(leasing_share(store, dgx, "0", 6 * gib, &lease[2], error), GPUALLOC_EBUSY);
	CHECK_INT(leasing_ask(store, dgx, 8, 0, &lease[2], NULL), GPUALLOC_EBUSY);
	CHECK_INT(leasing_ask(store, dgx, 7, 0, &lease[2], NULL), 0);
	gpualloc_lease_free(lease[0]);
	CHECK_INT(leasing_share(store, dgx, "0", 7 * gib, &lease[0], error), 0);
	for (int i = 0; i < 3; i++)
		gpualloc_lease_free(lease[i]);
	CHECK_INT(leasing_ask(store, dgx, 8, 0, &lease[0], NULL), 0);
	gpualloc_lease_free(lease[0]);
	gpualloc_error_free(error);
	gpualloc_store_free(store);
}

static void instances_are_leased_one_by_one(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease *lease[6] = {NULL};
	gpualloc_lease_wish *wish = gpualloc_lease_wish_new();
	gpualloc_request *request = gpualloc_request_new();

	CHECK_INT(gpualloc_lease_wish_set_machine(wish, mig, 0), 0);
	CHECK_INT(gpualloc_request_set_mig(request, NULL), 0);
	for (int i = 0; i < 5; i++)
		CHECK_INT(gpualloc_lease_acquire(store, request, wish, &lease[i], NULL), 0);
	CHECK_INT(gpualloc_lease_acquire(store, request, wish, &lease[5], NULL), GPUALLOC_EBUSY);
	for (int i = 0; i < 5; i++)
		for (int j = 0; j < i; j++)
			CHECK(strcmp(gpualloc_device_uuid(gpualloc_lease_device(lease[i], 0)),
				     gpualloc_device_uuid(gpualloc_lease_device(lease[j], 0))) !=
			      0);
	for (int i = 0; i < 5; i++)
		gpualloc_lease_free(lease[i]);
	gpualloc_lease_wish_free(wish);
	gpualloc_request_free(request);
	gpualloc_store_free(store);
}

static int ask_on(const gpualloc_store *store, int place, int64_t count, gpualloc_lease **ret_lease,
		  gpualloc_error *error)
{
	gpualloc_request *request = gpualloc_request_new();
	gpualloc_lease_wish *wish = gpualloc_lease_wish_new();
	int result;

	gpualloc_request_set_count(request, count);
	CHECK_INT(gpualloc_lease_wish_set_machine(wish, dgx, 0), 0);
	gpualloc_lease_wish_set_place(wish, place);
	result = gpualloc_lease_acquire(store, request, wish, ret_lease, error);
	gpualloc_lease_wish_free(wish);
	gpualloc_request_free(request);
	return result;
}

static void who_has_its_place_has_the_lease(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_error *error = gpualloc_error_new();
	gpualloc_lease *lease = NULL, *other = NULL;
	int place = -1, status = 0;
	pid_t child;

	CHECK_INT(gpualloc_store_place(store, &place, NULL), 0);
	CHECK_INT(fcntl(place, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	CHECK_INT(ask_on(store, place, 9, &lease, error), GPUALLOC_EIMPOSSIBLE);
	CHECK_INT(leases(store), 0);
	child = fork();
	if (child == 0)
		_exit(ask_on(store, place, 2, &lease, NULL) == 0 ? 0 : 1);
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK_INT(status, 0);
	/* The process that acquired it has ended; the place is ours too. */
	CHECK_INT(leases(store), 1);
	CHECK_INT(ask_on(store, place, 2, &lease, error), GPUALLOC_EUSAGE);
	CHECK_HAS(gpualloc_error_message(error), "already holds one");
	CHECK_INT(close(place), 0);
	CHECK_INT(leases(store), 0);
	CHECK_INT(gpualloc_store_place(store, &place, NULL), 0);
	CHECK_INT(leasing_ask(store, dgx, 2, 0, &lease, NULL), 0);
	/* Leases of others are no obstacle. */
	CHECK_INT(ask_on(store, place, 6, &other, NULL), 0);
	CHECK_INT(close(place), 0);
	CHECK_INT(leases(store), 2);
	gpualloc_lease_free(other);
	gpualloc_lease_free(lease);
	CHECK_INT(ask_on(store, 0, 1, &lease, NULL), GPUALLOC_EUSAGE);
	gpualloc_error_free(error);
	gpualloc_store_free(store);
}

static const struct test_case cases[] = {
	{"is shown while it lives", is_shown_while_it_lives},
	{"a device knows its holder", a_device_knows_its_holder},
	{"a refusal names the holder", a_refusal_names_the_holder},
	{"a kill ends it", a_kill_ends_it},
	{"a fork's child cannot release it", a_forks_child_cannot_release_it},
	{"what inherits it keeps it", what_inherits_it_keeps_it},
	{"a lease is not inherited unasked", a_lease_is_not_inherited_unasked},
	{"a device without a UUID cannot be leased", a_device_without_uuid_cannot_be_leased},
	{"who has its place has the lease", who_has_its_place_has_the_lease},
	{"budgets share a device", budgets_share_a_device},
	{"instances are leased one by one", instances_are_leased_one_by_one},
};
TEST_MAIN(cases)
