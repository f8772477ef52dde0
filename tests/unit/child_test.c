/* SPDX-License-Identifier: Apache-2.0 */
/* Work in a child: its output, its deadline, and that nothing of ours goes in or stays behind. */
#include "child.h"
#include "cleanup.h"
#include "clock.h"
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SOON_MS = 200, LATE_MS = 20000, LIMIT = 1 << 20 };

static int open_descriptors(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int count = 0;

	CHECK(folder != NULL);
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

static void nothing_is_left(int descriptors)
{
	CHECK_INT(open_descriptors(), descriptors);
	CHECK_INT(waitpid(-1, NULL, WNOHANG), -1);
	CHECK_INT(errno, ECHILD);
}

static void output_errors_and_status_come_back(void)
{
	static const char *const argv[] = {"sh", "-c", "echo out; echo err >&2; exit 9", NULL};
	ga_auto_child struct ga_child_result result = {0};
	int before = open_descriptors();

	CHECK_INT(ga_child_run(argv, LATE_MS, LIMIT, &result, NULL), 0);
	CHECK_TEXT(result.output.data, "out\n");
	CHECK_TEXT(result.errors.data, "err\n");
	CHECK_INT(result.exit_status, 9);
	CHECK(!result.timed_out);
	nothing_is_left(before);
}

static void a_missing_program_ends_with_127(void)
{
	static const char *const argv[] = {"/nonexistent/nvidia-smi", NULL};
	ga_auto_child struct ga_child_result result = {0};

	CHECK_INT(ga_child_run(argv, LATE_MS, LIMIT, &result, NULL), 0);
	CHECK_INT(result.exit_status, 127);
	CHECK_HAS(result.errors.data, "No such file");
}

static void a_program_that_hangs_is_killed_at_the_deadline(void)
{
	static const char *const argv[] = {"sh", "-c", "trap '' TERM; echo begun; exec sleep 1000",
					   NULL};
	ga_auto_child struct ga_child_result result = {0};
	int before = open_descriptors();

	CHECK_INT(ga_child_run(argv, SOON_MS, LIMIT, &result, NULL), 0);
	CHECK(result.timed_out);
	nothing_is_left(before);
}

static void a_flood_is_an_error_and_ends_the_program(void)
{
	static const char *const argv[] = {"sh", "-c", "while :; do echo flood; done", NULL};
	ga_auto_child struct ga_child_result result = {0};
	gpualloc_error error = {0};
	int before = open_descriptors();

	CHECK_INT(ga_child_run(argv, LATE_MS, 1000, &result, &error), GPUALLOC_EDATA);
	CHECK_HAS(error.message, "more than 1000 bytes");
	nothing_is_left(before);
}

static int count_descriptors(void *context, int out)
{
	DIR *folder = opendir("/proc/self/fd");
	const struct dirent *entry;

	(void)context;
	while (folder && (entry = readdir(folder)))
		if (entry->d_name[0] != '.' && strcmp(entry->d_name, "3") != 0)
			(void)dprintf(out, "%s ", entry->d_name);
	return 0;
}

static void the_child_inherits_no_descriptor(void)
{
	ga_auto_child struct ga_child_result result = {0};
	int lock = open("/", O_RDONLY); /* inheritable, as a careless program's may be */

	CHECK(fcntl(lock, F_DUPFD, 600) == 600);
	CHECK_INT(ga_child_call("test", count_descriptors, NULL, LATE_MS, LIMIT, &result, NULL), 0);
	CHECK_TEXT(result.output.data, "0 1 2 ");
}

static void closed_standard_descriptors_do_no_harm(void)
{
	static const char *const argv[] = {"sh", "-c", "echo out; echo err >&2", NULL};
	ga_auto_child struct ga_child_result result = {0};
	int kept = dup(1);

	close(0);
	close(1);
	close(2);
	int status = ga_child_run(argv, LATE_MS, LIMIT, &result, NULL);
	dup2(kept, 1);
	CHECK_INT(status, 0);
	CHECK_TEXT(result.output.data, "out\n");
	CHECK_TEXT(result.errors.data, "err\n");
}

static int die(void *context, int out)
{
	(void)context;
	(void)out;
	(void)signal(SIGUSR1, SIG_DFL);
	return raise(SIGUSR1);
}

static void a_signal_is_told(void)
{
	ga_auto_child struct ga_child_result result = {0};

	CHECK_INT(ga_child_call("test", die, NULL, LATE_MS, LIMIT, &result, NULL), 0);
	CHECK_INT(result.exit_status, 128 + SIGUSR1);
}

static int await_signal(void *context, int out)
{
	sigset_t blocked;

	(void)context;
	(void)sigprocmask(SIG_BLOCK, NULL, &blocked);
	return dprintf(out, "%d", sigismember(&blocked, SIGTERM)) != 1;
}

static void the_child_starts_with_signals_as_at_birth(void)
{
	ga_auto_child struct ga_child_result result = {0};
	sigset_t block;

	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigprocmask(SIG_BLOCK, &block, NULL);
	CHECK_INT(ga_child_call("test", await_signal, NULL, LATE_MS, LIMIT, &result, NULL), 0);
	CHECK_TEXT(result.output.data, "0");
}

/* Holds the pipe, and would do so for long; it ends by itself should nobody end it. */
static void leave_one_behind(int out)
{
	if (fork() == 0) {
		(void)alarm(60);
		for (;;)
			(void)pause();
	}
	(void)!write(out, "x", 1);
}

static int fork_and_hang(void *context, int out)
{
	(void)context;
	leave_one_behind(out);
	(void)pause();
	return 0;
}

static int fork_and_end(void *context, int out)
{
	(void)context;
	leave_one_behind(out);
	return 7;
}

/* Nobody has the pipe any more: it comes to its end. */
static void ends_with_all(int (*work)(void *context, int out), int64_t until, int status)
{
	struct ga_child child = {0};
	struct pollfd end;
	char said;

	CHECK_INT(ga_child_start("test", work, NULL, &child, NULL), 0);
	end = (struct pollfd){.fd = dup(child.out), .events = POLLIN};
	CHECK_INT(read(child.out, &said, 1), 1);
	CHECK_INT(ga_child_stop(&child, until), status);
	CHECK_INT(poll(&end, 1, LATE_MS), 1);
	CHECK_INT(read(end.fd, &said, 1), 0);
	(void)close(end.fd);
}

static void what_the_child_starts_ends_with_it(void)
{
	ends_with_all(fork_and_hang, 0, 128 + SIGKILL);
	ends_with_all(fork_and_end, ga_clock_ms() + LATE_MS, 7);
}

static const struct test_case cases[] = {
	{"output, errors and status come back", output_errors_and_status_come_back},
	{"a missing program ends with 127", a_missing_program_ends_with_127},
	{"a program that hangs is killed", a_program_that_hangs_is_killed_at_the_deadline},
	{"a flood is an error and ends the program", a_flood_is_an_error_and_ends_the_program},
	{"the child inherits no descriptor", the_child_inherits_no_descriptor},
	{"closed standard descriptors do no harm", closed_standard_descriptors_do_no_harm},
	{"a signal is reported", a_signal_is_told},
	{"what the child starts ends with it", what_the_child_starts_ends_with_it},
	{"the child starts with signals as at birth", the_child_starts_with_signals_as_at_birth},
};

TEST_MAIN(cases)
