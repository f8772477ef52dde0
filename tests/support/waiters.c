/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that wait for a lease in a known order; see waiters.h. */
#include "waiters.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000 };

struct word {
	char what; /* w: waits, g: granted, x: neither */
	unsigned who;
	int64_t time;
};

struct waiter {
	const struct waiters *waiters;
	unsigned who;
	bool said;
};

static int64_t now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void say(const struct waiter *waiter, char what)
{
	struct word word;

	memset(&word, 0, sizeof word);
	word.what = what;
	word.who = waiter->who;
	word.time = now();
	if (write(waiter->waiters->pipe[1], &word, sizeof word) != (ssize_t)sizeof word)
		_exit(1);
}

static int say_waiting(void *context, size_t place, const char *sentence)
{
	struct waiter *waiter = context;

	(void)place;
	(void)sentence;
	if (!waiter->said)
		say(waiter, 'w');
	waiter->said = true;
	return 0;
}

static _Noreturn void wait_and_hold(const struct waiters *waiters, unsigned who)
{
	struct waiter waiter = {.waiters = waiters, .who = who};
	gpualloc_request *request = gpualloc_request_new();
	gpualloc_lease_wish *wish = gpualloc_lease_wish_new();
	gpualloc_error *error = gpualloc_error_new();
	gpualloc_lease *lease = NULL;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	gpualloc_request_set_count(request, 8);
	(void)gpualloc_lease_wish_set_machine(wish, waiters->machine, 10000);
	gpualloc_lease_wish_set_wait(wish, -1, say_waiting, &waiter);
	if (gpualloc_lease_acquire(waiters->store, request, wish, &lease, error) == 0) {
		say(&waiter, 'g');
		for (;;)
			(void)pause();
	}
	(void)fprintf(stderr, "waiter %u: %s\n", who, gpualloc_error_message(error));
	say(&waiter, 'x');
	_exit(1);
}

static int hear(const struct waiters *waiters, struct word *ret_word)
{
	struct pollfd poll_one = {.fd = waiters->pipe[0], .events = POLLIN};

	if (poll(&poll_one, 1, PATIENCE_MS) == 1 &&
	    read(waiters->pipe[0], ret_word, sizeof *ret_word) == (ssize_t)sizeof *ret_word &&
	    ret_word->what != 'x')
		return 0;
	(void)fprintf(stderr, "waiters: nobody got the lease, or somebody failed\n");
	return -1;
}

static int start(struct waiters *waiters, char expected)
{
	struct word word;
	unsigned who = waiters->started;
	pid_t pid = who < WAITERS_MOST ? fork() : -1;

	if (pid == 0)
		wait_and_hold(waiters, who);
	if (pid < 0)
		return -1;
	waiters->pids[waiters->started++] = pid;
	if (hear(waiters, &word) < 0)
		return -1;
	return word.what == expected && word.who == who ? 0 : -1;
}

int waiters_begin(struct waiters *waiters, const char *machine, const char *path)
{
	gpualloc_error *error = gpualloc_error_new();
	int result = 0;

	*waiters = (struct waiters){.machine = machine, .pipe = {-1, -1}};
	if (gpualloc_store_setup(path, error) < 0 ||
	    gpualloc_store_open(path, 0, &waiters->store, error) < 0 || pipe(waiters->pipe) < 0) {
		(void)fprintf(stderr, "waiters: %s\n", gpualloc_error_message(error));
		result = -1;
	}
	gpualloc_error_free(error);
	return result < 0 ? -1 : start(waiters, 'g');
}

int waiters_add(struct waiters *waiters)
{
	return start(waiters, 'w');
}

int waiters_kill_holder(struct waiters *waiters, int64_t *ret_ns)
{
	struct word word;
	pid_t pid = waiters->pids[waiters->holder];
	int64_t killed = now();

	(void)kill(pid, SIGKILL);
	waiters->pids[waiters->holder] = 0;
	if (hear(waiters, &word) < 0 || word.what != 'g')
		return -1;
	(void)waitpid(pid, NULL, 0);
	waiters->holder = word.who;
	*ret_ns = word.time - killed;
	return (int)word.who;
}

void waiters_end(struct waiters *waiters)
{
	for (unsigned i = 0; i < waiters->started; i++)
		if (waiters->pids[i])
			(void)kill(waiters->pids[i], SIGKILL);
	for (unsigned i = 0; i < waiters->started; i++)
		if (waiters->pids[i])
			(void)waitpid(waiters->pids[i], NULL, 0);
	gpualloc_store_free(waiters->store);
	close(waiters->pipe[0]);
	close(waiters->pipe[1]);
}
