/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds a lease after what processes really do: fork, exec, close everything, become a daemon,
 * stop. To see whether it is held, another process asks for the same devices.
 */
#include "test.h"

#include <gpualloc/gpualloc.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static gpualloc_store *store;
static char folder[64];

static void open_store(void)
{
	static const char *const places[] = {"/tmp", "/dev/shm", "."};
	char path[80];
	int result = -1;

	for (size_t i = 0; i < sizeof places / sizeof *places && result < 0; i++) {
		(void)snprintf(folder, sizeof folder, "%s/gpualloc-holders-XXXXXX", places[i]);
		CHECK(mkdtemp(folder) != NULL);
		(void)snprintf(path, sizeof path, "%s/store", folder);
		result = gpualloc_store_setup(path, NULL);
		if (result == 0)
			result = gpualloc_store_open(path, 0, &store, NULL);
	}
	CHECK_INT(result, 0);
}

static void close_store(void)
{
	char command[96];

	gpualloc_store_free(store);
	(void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
	CHECK_INT(system(command), 0); /* NOLINT: a path of our own making */
}

static int acquire(int64_t count, int64_t wait_ms, gpualloc_lease **ret_lease)
{
	gpualloc_request *request = gpualloc_request_new();
	gpualloc_lease_wish *wish = gpualloc_lease_wish_new();
	int result;

	gpualloc_request_set_count(request, count);
	gpualloc_lease_wish_set_wait(wish, wait_ms, NULL, NULL);
	CHECK_INT(gpualloc_lease_wish_set_machine(wish, test_path("machines/files/chaos.json"),
						  10000),
		  0);
	result = gpualloc_lease_acquire(store, request, wish, ret_lease, NULL);
	gpualloc_lease_wish_free(wish);
	gpualloc_request_free(request);
	return result;
}

static gpualloc_lease *take_all(void)
{
	gpualloc_lease *lease = NULL;

	CHECK_INT(acquire(8, 0, &lease), 0);
	return lease;
}

static bool is_held(void)
{
	gpualloc_lease *lease = NULL;
	int result = acquire(8, 0, &lease);

	if (result == 0) {
		CHECK_INT(gpualloc_lease_release(lease, NULL), 0);
		gpualloc_lease_free(lease);
	} else {
		CHECK_INT(result, GPUALLOC_EBUSY);
	}
	return result != 0;
}

/* A pipe on which a process says that it has got so far, and one that tells it to go on. */
struct talk {
	int said[2], told[2];
};

static struct talk talk_open(void)
{
	struct talk talk;

	CHECK_INT(pipe(talk.said), 0);
	CHECK_INT(pipe(talk.told), 0);
	return talk;
}

static void say_and_wait(const struct talk *talk)
{
	char word = 'x';

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (write(talk->said[1], &word, 1) != 1 || read(talk->told[0], &word, 1) != 1)
		_exit(9);
}

static void hear(const struct talk *talk)
{
	char word;

	CHECK_INT(read(talk->said[0], &word, 1), 1);
}

static void tell(const struct talk *talk)
{
	CHECK_INT(write(talk->told[1], "x", 1), 1);
}

static int exit_of(pid_t pid)
{
	int status;

	CHECK_INT(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void a_child_cannot_release(void)
{
	gpualloc_lease *lease;
	pid_t pid;

	open_store();
	lease = take_all();
	pid = fork();
	if (pid == 0)
		_exit(gpualloc_lease_release(lease, NULL) < 0 ? 0 : 1);
	CHECK_INT(exit_of(pid), 0);
	CHECK(is_held());
	CHECK_INT(gpualloc_lease_release(lease, NULL), 0);
	CHECK(!is_held());
	gpualloc_lease_free(lease);
	close_store();
}

static void a_child_that_frees_gives_nothing_back(void)
{
	gpualloc_lease *lease;
	pid_t pid;

	open_store();
	lease = take_all();
	pid = fork();
	if (pid == 0) {
		gpualloc_lease_free(lease);
		_exit(0);
	}
	CHECK_INT(exit_of(pid), 0);
	CHECK(is_held());
	gpualloc_lease_free(lease);
	CHECK(!is_held());
	close_store();
}

static void a_child_holds_on_when_its_parent_frees(void)
{
	struct talk talk = talk_open();
	gpualloc_lease *lease;
	pid_t pid;

	open_store();
	lease = take_all();
	pid = fork();
	if (pid == 0) {
		say_and_wait(&talk);
		_exit(0);
	}
	hear(&talk);
	gpualloc_lease_free(lease);
	CHECK(is_held());
	tell(&talk);
	CHECK_INT(exit_of(pid), 0);
	CHECK(!is_held());
	close_store();
}

static void a_release_ends_it_for_the_children_too(void)
{
	struct talk talk = talk_open();
	gpualloc_lease *lease;
	pid_t pid;

	open_store();
	lease = take_all();
	pid = fork();
	if (pid == 0) {
		say_and_wait(&talk);
		_exit(0);
	}
	hear(&talk);
	CHECK_INT(gpualloc_lease_release(lease, NULL), 0);
	CHECK(!is_held());
	gpualloc_lease_free(lease);
	tell(&talk);
	CHECK_INT(exit_of(pid), 0);
	close_store();
}

/* Another process takes everything, does what it should, and says so. */
static pid_t holder(const struct talk *talk, void (*then)(gpualloc_lease *lease))
{
	pid_t pid = fork();

	if (pid == 0) {
		gpualloc_lease *lease = NULL;

		if (acquire(8, 0, &lease) < 0)
			_exit(8);
		if (then)
			then(lease);
		say_and_wait(talk);
		_exit(0);
	}
	hear(talk);
	return pid;
}

static int kept_said, kept_told;

static void close_all(gpualloc_lease *lease)
{
	(void)lease;
	for (int fd = 3; fd < 1024; fd++)
		if (fd != kept_said && fd != kept_told)
			close(fd);
}

static void who_closes_everything_has_lost_it(void)
{
	struct talk talk = talk_open();
	pid_t pid;

	open_store();
	kept_said = talk.said[1];
	kept_told = talk.told[0];
	pid = holder(&talk, close_all);
	CHECK(!is_held());
	tell(&talk);
	CHECK_INT(exit_of(pid), 0);
	close_store();
}

static void a_stopped_holder_holds(void)
{
	struct talk talk = talk_open();
	int status;
	pid_t pid;

	open_store();
	pid = holder(&talk, NULL);
	CHECK_INT(kill(pid, SIGSTOP), 0);
	CHECK_INT(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(is_held());
	CHECK_INT(kill(pid, SIGKILL), 0);
	CHECK_INT(exit_of(pid), 128 + SIGKILL);
	CHECK(!is_held());
	close_store();
}

static void become_daemon(gpualloc_lease *lease)
{
	pid_t middle;

	(void)lease;
	if (fork() > 0)
		_exit(0);
	(void)setsid();
	middle = getpid();
	if (fork() > 0)
		_exit(0);
	/* The next call asks for a signal when its parent dies: the test, not this process. */
	while (getppid() == middle)
		(void)sched_yield();
	if (chdir("/") < 0)
		_exit(7);
}

static void a_daemon_holds_until_it_ends(void)
{
	struct talk talk = talk_open();
	pid_t pid;

	open_store();
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = holder(&talk, become_daemon);
	CHECK_INT(exit_of(pid), 0);
	CHECK(is_held());
	tell(&talk);
	while (waitpid(-1, NULL, 0) > 0)
		;
	CHECK(!is_held());
	close_store();
}

/* A newly started program says "x", and ends when told to. */
static _Noreturn void start_program(const struct talk *talk)
{
	(void)dup2(talk->said[1], STDOUT_FILENO);
	(void)dup2(talk->told[0], STDIN_FILENO);
	(void)execl("/bin/sh", "sh", "-c", "printf x; read -r _", (char *)NULL);
	_exit(9);
}

static pid_t holder_by_exec(const struct talk *talk, bool hands_on)
{
	pid_t pid = fork();

	if (pid == 0) {
		gpualloc_lease *lease = NULL;
		int fd = 512;

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (acquire(8, 0, &lease) < 0)
			_exit(8);
		if (hands_on && (gpualloc_lease_hand_on(lease, &fd, NULL) < 0 || fd < 512))
			_exit(7);
		start_program(talk);
	}
	hear(talk);
	return pid;
}

static void a_program_inherits_only_what_is_handed_on(void)
{
	for (int hands_on = 0; hands_on < 2; hands_on++) {
		struct talk talk = talk_open();
		pid_t pid;

		test_about("handed on: %d", hands_on);
		open_store();
		pid = holder_by_exec(&talk, hands_on);
		CHECK_INT(is_held(), hands_on);
		CHECK_INT(kill(pid, SIGKILL), 0);
		CHECK_INT(exit_of(pid), 128 + SIGKILL);
		CHECK(!is_held());
		close_store();
	}
}

/* The id of the only lease there is. */
static void find_id(char id[static 16])
{
	gpualloc_leases *leases = NULL;

	CHECK_INT(gpualloc_leases_read(store, &leases, NULL), 0);
	CHECK_INT((int)gpualloc_leases_held_count(leases), 1);
	(void)snprintf(id, 16, "%s", gpualloc_held_id(gpualloc_leases_held(leases, 0)));
	gpualloc_leases_free(leases);
}

static void a_stranger_takes_part_and_keeps_it_alive(void)
{
	struct talk talk = talk_open();
	pid_t pid;
	char id[16];
	int fd = -1;

	open_store();
	pid = fork();
	if (pid == 0) {
		(void)take_all();
		say_and_wait(&talk);
		_exit(0);
	}
	hear(&talk);
	find_id(id);
	CHECK_INT(gpualloc_lease_adopt(store, id, &fd, NULL), 0);
	CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	CHECK_INT(kill(pid, SIGKILL), 0);
	CHECK_INT(exit_of(pid), 128 + SIGKILL);
	CHECK(is_held());
	close(fd);
	CHECK(!is_held());
	CHECK_INT(gpualloc_lease_adopt(store, id, &fd, NULL), GPUALLOC_EPERM);
	CHECK_INT(gpualloc_lease_adopt(store, "no id", &fd, NULL), GPUALLOC_EPERM);
	close_store();
}

static const struct test_case cases[] = {
	{"a child cannot release", a_child_cannot_release},
	{"a child that frees gives nothing back", a_child_that_frees_gives_nothing_back},
	{"a child holds on when its parent frees", a_child_holds_on_when_its_parent_frees},
	{"a release ends it for the children too", a_release_ends_it_for_the_children_too},
	{"a process that closes everything loses it", who_closes_everything_has_lost_it},
	{"a stopped holder holds", a_stopped_holder_holds},
	{"a daemon holds until it ends", a_daemon_holds_until_it_ends},
	{"a program inherits only what is passed on", a_program_inherits_only_what_is_handed_on},
	{"a stranger takes part and keeps it alive", a_stranger_takes_part_and_keeps_it_alive},
};

TEST_MAIN(cases)
