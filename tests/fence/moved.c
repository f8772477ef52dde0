/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Somebody who moves locks of their own in the ledger's list, from before somebody else's to behind
 * it or into another file's list, and back without pause. Whoever reads the list and stands on one
 * of these meanwhile is led past what is between, or out of the list.
 *   moved past TIMES NODE START  opens NODE so often, with a lock from START on, one level below
 * what another user has, and says how often that succeeded moved past|out               does
 * nothing but moving, until standard input ends It says "ready" when its first locks are there, and
 * begins when a line is read from standard input: what others lock between comes to lie in the
 * middle. The locks are two processes', so that they lie in two places, and of one description and
 * in the same memory in both, so that they look alike.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LEDGER "/run/gpualloc/ledger"

/* As many as the kernel gives the same memory again; descriptions that make each look longer. */
enum { LOCKS = 14, OTHERS = 180, LATE = 900, SAME_PAUSE = 64, DOUBLINGS = 9, SHORTEST = 2000 };
/* Ids, which are no devices. */
static const off_t spare = (off_t)1 << 61;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		fail(path);
	return fd;
}

static void set(int fd, int command, off_t start, off_t length, short type)
{
	struct flock lock = {.l_type = type, .l_start = start, .l_len = length};

	if (fcntl(fd, command, &lock) < 0)
		fail("lock");
}

static void lock_some(int fd, off_t start)
{
	for (off_t i = 0; i < LOCKS; i++)
		set(fd, F_SETLK, start + 2 * i, 1, F_WRLCK);
}

static void stay_on(long processor)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)processor, &one);
	(void)sched_setaffinity(0, sizeof one, &one);
}

static void tell(const int pipe[2])
{
	if (write(pipe[1], "x", 1) != 1)
		exit(0);
}

static void hear(const int pipe[2])
{
	char byte;

	if (read(pipe[0], &byte, 1) != 1)
		exit(0);
}

/* In a child that ends with this process. */
static bool is_child(void)
{
	pid_t child = fork();

	if (child < 0)
		fail("fork");
	if (child > 0)
		return false;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_TIMERSLACK, 1);
	stay_on(sysconf(_SC_NPROCESSORS_ONLN) - 1);
	return true;
}

/* The locks are here, then with the other one, for as long a while as it takes to walk over them.
 */
static void move(int ledger, const int there[2], const int back[2])
{
	struct timespec pause = {0};
	unsigned seed = 1;

	for (unsigned i = 0;; i++) {
		if (i % SAME_PAUSE == 0)
			pause.tv_nsec = (SHORTEST + rand_r(&seed) % SHORTEST)
					<< rand_r(&seed) % DOUBLINGS;
		set(ledger, F_SETLK, spare + 10, 2 * LOCKS, F_UNLCK);
		tell(there);
		hear(back);
		(void)nanosleep(&pause, NULL);
		tell(there);
		hear(back);
		lock_some(ledger, spare + 10);
		(void)nanosleep(&pause, NULL);
	}
}

static void take_over(int file, const int there[2], const int back[2])
{
	for (;;) {
		hear(there);
		lock_some(file, spare + 10);
		tell(back);
		hear(there);
		set(file, F_SETLK, spare + 10, 2 * LOCKS, F_UNLCK);
		tell(back);
	}
}

static void try_to_open(const char *node, long times)
{
	const struct sched_param none = {0};
	long let_in = 0;

	stay_on(0);
	(void)sched_setscheduler(0, SCHED_IDLE, &none);
	for (long i = 0; i < times; i++) {
		int fd = open(node, O_RDWR | O_CLOEXEC);

		let_in += fd >= 0 || errno != EPERM;
		if (fd >= 0)
			close(fd);
	}
	printf("%ld let in\n", let_in);
}

int main(int argc, char **argv)
{
	bool is_past = argc > 1 && strcmp(argv[1], "past") == 0, opens = argc == 5;
	int ledger, start[2], ready[2], there[2], back[2];
	char line[8];

	if ((argc != 2 && !opens) || pipe(start) < 0 || pipe(ready) < 0 || pipe(there) < 0 ||
	    pipe(back) < 0)
		return 64;
	ledger = dup2(open_or_die(LEDGER, 0), LATE);
	if (is_child()) {
		set(ledger, F_SETLK, spare, 1, F_WRLCK);
		lock_some(ledger, spare + 10);
		tell(ready);
		hear(start);
		move(ledger, there, back);
	}
	hear(ready);
	for (int i = 0; opens && i < OTHERS; i++)
		open_or_die(LEDGER, 0);
	printf("ready\n");
	(void)fflush(stdout);
	if (read(STDIN_FILENO, line, sizeof line) <= 0)
		return 1;
	if (is_child()) {
		lock_some(ledger, spare + 1000);
		tell(ready);
		take_over(is_past ? ledger : open_or_die("/tmp", O_TMPFILE), there, back);
	}
	hear(ready);
	if (opens)
		set(open_or_die(LEDGER, 0), F_OFD_SETLK, strtoll(argv[4], NULL, 10), 1 << 29,
		    F_WRLCK);
	tell(start);
	if (opens)
		try_to_open(argv[3], strtol(argv[2], NULL, 10));
	else
		while (read(STDIN_FILENO, line, sizeof line) > 0)
			;
	return 0;
}
