/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting: in order, woken by a death, without starving anybody, past who is stopped. That it is an
   event that wakes is shown by tests/cli/wait_test.py, how soon by bench/wakeup.c. */
#include "leasing.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static const char dgx[] = "dgx1-volta";

/* The list is looked at until so many wait: that is a state, not a time. */
static void until_so_many_wait(gpualloc_store *store, size_t count)
{
	for (;;) {
		gpualloc_leases *list = NULL;
		size_t waiting;

		CHECK_INT(gpualloc_leases_read(store, &list, NULL), 0);
		waiting = gpualloc_leases_waiter_count(list);
		gpualloc_leases_free(list);
		if (waiting == count)
			return;
		(void)poll(NULL, 0, 2);
	}
}

static bool has_said(const struct leasing_child *child)
{
	struct pollfd fd = {.fd = child->say, .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

static void a_death_wakes(void)
{
	gpualloc_store *store = leasing_store();

	for (int round = 0; round < 20; round++) {
		struct leasing_child holder = leasing_hold(store, dgx, 8, 0), waiter;

		test_about("round %d", round);
		CHECK_INT(leasing_said(&holder), 'y');
		waiter = leasing_hold(store, dgx, 1, -1);
		until_so_many_wait(store, 1);
		leasing_kill(&holder);
		CHECK_INT(leasing_said(&waiter), 'y');
		leasing_end(&waiter);
	}
	until_so_many_wait(store, 0);
	gpualloc_store_free(store);
}

static void a_release_wakes(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease *lease = NULL;
	struct leasing_child waiter;

	CHECK_INT(leasing_ask(store, dgx, 8, 0, &lease, NULL), 0);
	/* Inherits the description: no close is the last, and only the nudge wakes. */
	waiter = leasing_hold(store, dgx, 8, -1);
	until_so_many_wait(store, 1);
	CHECK_INT(gpualloc_lease_release(lease, NULL), 0);
	CHECK_INT(leasing_said(&waiter), 'y');
	leasing_end(&waiter);
	gpualloc_lease_free(lease);
	gpualloc_store_free(store);
}

static void it_ends_at_its_time(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease *lease = NULL, *other = NULL;
	gpualloc_error *error = gpualloc_error_new();

	CHECK_INT(leasing_ask(store, dgx, 8, 0, &lease, NULL), 0);
	CHECK_INT(leasing_ask(store, dgx, 1, 1000, &other, error), GPUALLOC_ETIMEOUT);
	CHECK_HAS(gpualloc_error_message(error), "waited 1 s without success: ");
	CHECK_HAS(gpualloc_error_message(error), gpualloc_lease_id(lease));
	until_so_many_wait(store, 0);
	gpualloc_lease_free(lease);
	gpualloc_error_free(error);
	gpualloc_store_free(store);
}

static void the_order_is_that_of_arrival(void)
{
	enum { WAITERS = 12 };
	gpualloc_store *store = leasing_store();
	struct leasing_child holder = leasing_hold(store, dgx, 8, 0), waiters[WAITERS];

	CHECK_INT(leasing_said(&holder), 'y');
	for (size_t i = 0; i < WAITERS; i++) {
		waiters[i] = leasing_hold(store, dgx, 8, -1);
		until_so_many_wait(store, i + 1);
	}
	leasing_kill(&holder);
	for (size_t i = 0; i < WAITERS; i++) {
		test_about("waiter %zu", i);
		CHECK_INT(leasing_said(&waiters[i]), 'y');
		for (size_t j = i + 1; j < WAITERS; j++)
			CHECK(!has_said(&waiters[j]));
		leasing_kill(&waiters[i]);
	}
	gpualloc_store_free(store);
}

/* A request for 8 against newcomers that would each take what becomes free. */
static void a_large_request_does_not_starve(void)
{
	gpualloc_store *store = leasing_store();
	struct leasing_child holders[8], large;
	gpualloc_lease *lease = NULL;

	for (size_t i = 0; i < 8; i++) {
		holders[i] = leasing_hold(store, dgx, 1, 0);
		CHECK_INT(leasing_said(&holders[i]), 'y');
	}
	large = leasing_hold(store, dgx, 8, -1);
	until_so_many_wait(store, 1);
	for (size_t i = 0; i < 8; i++) {
		gpualloc_error *error = gpualloc_error_new();

		leasing_kill(&holders[i]);
		if (i == 7)
			CHECK_INT(leasing_said(&large), 'y');
		test_about("after %zu", i);
		CHECK_INT(leasing_ask(store, dgx, 1, 0, &lease, error), GPUALLOC_EBUSY);
		if (i < 7)
			CHECK_HAS(gpualloc_error_message(error), "who has waited longer");
		gpualloc_error_free(error);
	}
	leasing_end(&large);
	gpualloc_store_free(store);
}

static void who_is_stopped_is_passed_over(void)
{
	gpualloc_store *store = leasing_store();
	struct leasing_child holder = leasing_hold(store, dgx, 8, 0), stopped, next;
	gpualloc_lease *lease = NULL;
	siginfo_t info;

	CHECK_INT(leasing_said(&holder), 'y');
	stopped = leasing_hold(store, dgx, 8, -1);
	until_so_many_wait(store, 1);
	next = leasing_hold(store, dgx, 8, -1);
	until_so_many_wait(store, 2);
	CHECK_INT(kill(stopped.pid, SIGSTOP), 0);
	CHECK_INT(waitid(P_PID, (id_t)stopped.pid, &info, WSTOPPED), 0);
	leasing_kill(&holder);
	CHECK_INT(leasing_said(&next), 'y');
	CHECK_INT(kill(stopped.pid, SIGCONT), 0);
	/* Its place is the first again. */
	CHECK_INT(leasing_ask(store, dgx, 1, 0, &lease, NULL), GPUALLOC_EBUSY);
	leasing_kill(&next);
	CHECK_INT(leasing_said(&stopped), 'y');
	leasing_end(&stopped);
	gpualloc_store_free(store);
}

static void keeping_ends_after_a_while(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease_wish *wish = gpualloc_lease_wish_new();
	gpualloc_request *request = gpualloc_request_new();
	struct leasing_child holder = leasing_hold(store, dgx, 4, 0), large;
	gpualloc_lease *lease = NULL;

	CHECK_INT(leasing_said(&holder), 'y');
	large = leasing_hold(store, dgx, 8, -1);
	until_so_many_wait(store, 1);
	CHECK_INT(gpualloc_lease_wish_set_machine(wish, dgx, 0), 0);
	CHECK_INT(gpualloc_lease_acquire(store, request, wish, &lease, NULL), GPUALLOC_EBUSY);
	gpualloc_lease_wish_set_keep(wish, 1);
	gpualloc_lease_wish_set_wait(wish, 60000, NULL, NULL);
	CHECK_INT(gpualloc_lease_acquire(store, request, wish, &lease, NULL), 0);
	gpualloc_lease_free(lease);
	leasing_kill(&large);
	leasing_kill(&holder);
	gpualloc_lease_wish_free(wish);
	gpualloc_request_free(request);
	gpualloc_store_free(store);
}

static int give_up(void *context, size_t place, const char *sentence)
{
	size_t *told = context;

	CHECK_HAS(sentence, "leased");
	CHECK_INT(place, 1);
	(*told)++;
	return 1;
}

static void giving_up_leaves_no_trace(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease_wish *wish = gpualloc_lease_wish_new();
	gpualloc_request *request = gpualloc_request_new();
	gpualloc_lease *lease = NULL, *other = NULL;
	size_t told = 0;

	CHECK_INT(leasing_ask(store, dgx, 8, 0, &lease, NULL), 0);
	CHECK_INT(gpualloc_lease_wish_set_machine(wish, dgx, 0), 0);
	gpualloc_lease_wish_set_wait(wish, -1, give_up, &told);
	CHECK_INT(gpualloc_lease_acquire(store, request, wish, &other, NULL), GPUALLOC_ETIMEOUT);
	CHECK_INT(told, 1);
	until_so_many_wait(store, 0);
	gpualloc_lease_free(lease);
	gpualloc_lease_wish_free(wish);
	gpualloc_request_free(request);
	gpualloc_store_free(store);
}

/* It sleeps, and no signal comes: only the descriptor can end that. */
static void a_descriptor_ends_the_waiting(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease *lease = NULL;
	int stop[2], status = -1;
	pid_t child;

	CHECK_INT(pipe(stop), 0);
	CHECK_INT(leasing_ask(store, dgx, 8, 0, &lease, NULL), 0);
	child = fork();
	if (child == 0) {
		gpualloc_lease_wish *wish = gpualloc_lease_wish_new();
		gpualloc_request *request = gpualloc_request_new();
		gpualloc_lease *other = NULL;

		(void)gpualloc_lease_wish_set_machine(wish, dgx, 0);
		gpualloc_lease_wish_set_wait(wish, -1, NULL, NULL);
		gpualloc_lease_wish_set_stop(wish, stop[0]);
		_exit(-gpualloc_lease_acquire(store, request, wish, &other, NULL));
	}
	until_so_many_wait(store, 1);
	CHECK_INT(write(stop[1], "x", 1), 1);
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK_INT(WEXITSTATUS(status), -GPUALLOC_ETIMEOUT);
	until_so_many_wait(store, 0);
	close(stop[0]);
	close(stop[1]);
	gpualloc_lease_free(lease);
	gpualloc_store_free(store);
}

/* A process that holds the arbiter costs two seconds and is named; the grant is still right. */
static void a_sat_on_arbiter_costs_two_seconds(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease *lease = NULL, *other = NULL;
	char path[128], name[32];
	int fd;

	(void)snprintf(path, sizeof path, "%s/arbiter", gpualloc_store_path(store));
	(void)snprintf(name, sizeof name, "process %d ", (int)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK_INT(flock(fd, LOCK_EX), 0);
	CHECK_INT(leasing_ask(store, dgx, 5, 0, &lease, NULL), 0);
	CHECK(gpualloc_lease_note(lease, 0) != NULL);
	CHECK_HAS(gpualloc_lease_note(lease, 0), name);
	CHECK_INT(leasing_ask(store, dgx, 4, 0, &other, NULL), GPUALLOC_EBUSY);
	gpualloc_lease_free(lease);
	close(fd);
	gpualloc_store_free(store);
}

static void write_machine(const char *path, pid_t pid)
{
	char next[160];
	FILE *file;

	(void)snprintf(next, sizeof next, "%s.next", path);
	file = fopen(next, "w");
	CHECK(file != NULL);
	(void)fprintf(file, "{\"gpualloc_machine\":1,\"devices\":[{\"index\":0,\"uuid\":\"GPU-0\","
			    "\"processes\":[");
	if (pid > 0)
		(void)fprintf(file, "{\"pid\":%d,\"type\":\"C\",\"user\":\"eve\"}", (int)pid);
	(void)fprintf(file, "]}],\"pcie\":[[\"X\"]]}");
	(void)fclose(file);
	CHECK_INT(rename(next, path), 0);
}

static void the_end_of_a_strangers_process_wakes(void)
{
	gpualloc_store *store = leasing_store();
	struct leasing_child stranger = leasing_hold(store, dgx, 1, 0), waiter;
	gpualloc_lease *lease = NULL;
	gpualloc_error *error = gpualloc_error_new();
	char path[128];

	CHECK_INT(leasing_said(&stranger), 'y');
	(void)snprintf(path, sizeof path, "%s/machine", leasing_folder());
	write_machine(path, stranger.pid);
	CHECK_INT(leasing_ask(store, path, 1, 0, &lease, error), GPUALLOC_EBUSY);
	CHECK_HAS(gpualloc_error_message(error), "eve");
	waiter = leasing_hold(store, path, 1, -1);
	until_so_many_wait(store, 1);
	write_machine(path, 0);
	leasing_kill(&stranger);
	CHECK_INT(leasing_said(&waiter), 'y');
	leasing_end(&waiter);
	gpualloc_error_free(error);
	gpualloc_store_free(store);
}

/* Nothing idles for a waiter that no lease's end can help: what it lacks is in foreign use. */
static void nothing_is_kept_in_vain(void)
{
	gpualloc_store *store = leasing_store();
	struct leasing_child waiter;
	gpualloc_lease *lease = NULL;
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof path, "%s/machine", leasing_folder());
	file = fopen(path, "w");
	(void)fprintf(
		file,
		"{\"gpualloc_machine\":1,\"devices\":[{\"index\":0,\"uuid\":\"GPU-0\","
		"\"processes\":[{\"pid\":1,\"type\":\"C\"}]},"
		"{\"index\":1,\"uuid\":\"GPU-1\"}],\"pcie\":[[\"X\",\"PIX\"],[\"PIX\",\"X\"]]}");
	(void)fclose(file);
	waiter = leasing_hold(store, path, 2, -1);
	until_so_many_wait(store, 1);
	CHECK_INT(leasing_ask(store, path, 1, 0, &lease, NULL), 0);
	gpualloc_lease_free(lease);
	leasing_kill(&waiter);
	gpualloc_store_free(store);
}

static const struct test_case cases[] = {
	{"a death wakes", a_death_wakes},
	{"a release wakes, though children have the description", a_release_wakes},
	{"it ends at its time, and says who was in the way", it_ends_at_its_time},
	{"the order is that of arrival", the_order_is_that_of_arrival},
	{"a large request does not starve", a_large_request_does_not_starve},
	{"who is stopped is passed over, and keeps its place", who_is_stopped_is_passed_over},
	{"keeping ends after a while", keeping_ends_after_a_while},
	{"a process that holds the arbiter is named", a_sat_on_arbiter_costs_two_seconds},
	{"the end of a stranger's process wakes", the_end_of_a_strangers_process_wakes},
	{"nothing is kept in vain", nothing_is_kept_in_vain},
	{"giving up leaves no trace", giving_up_leaves_no_trace},
	{"a descriptor ends the waiting", a_descriptor_ends_the_waiting},
};
TEST_MAIN(cases)
