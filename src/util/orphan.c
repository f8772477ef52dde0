/* SPDX-License-Identifier: Apache-2.0 */
/* Two forks, so that a process is nobody's child; see orphan.h. */
#include "orphan.h"

#include "cleanup.h"
#include "descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the orphan is made of. */
struct making {
	int (*work)(void *context, const gpualloc_error *trouble);
	void *context;
	const int *descriptors;
	int count;
};

/*
 * Their own numbers may be among those that they are to have, so several go up before they come
 * down; a single one needs no free number besides its own.
 */
static bool move_descriptors(const struct making *making)
{
	enum { MOST = 4 };
	int moved[MOST] = {making->descriptors[0]};

	if (making->count > MOST)
		return false;
	for (int i = 0; i < making->count && making->count > 1; i++) {
		moved[i] = fcntl(making->descriptors[i], F_DUPFD_CLOEXEC, GA_ORPHAN_ANSWER + MOST);
		if (moved[i] < 0)
			return false;
	}
	for (int i = 0; i < making->count; i++)
		if (dup3(moved[i], GA_ORPHAN_ANSWER + i, O_CLOEXEC) < 0 && errno != EINVAL)
			return false;
	return true;
}

_Noreturn static void be_orphan(const struct making *making)
{
	gpualloc_error trouble = {0};
	int result;

	if (!move_descriptors(making))
		_exit(EXIT_FAILURE);
	result = ga_descriptors_close(GA_ORPHAN_ANSWER + making->count);
	if (result < 0)
		(void)ga_error_errno(&trouble, GPUALLOC_EIO, -result,
				     "inherited descriptors cannot be closed; it takes "
				     "close_range(), which Linux has since 5.9, or /proc");
	_exit(making->work(making->context, result < 0 ? &trouble : NULL));
}

/* 0, or the errno of a fork that failed. */
static int fork_twice(const struct making *making)
{
	pid_t child = fork();
	int status = 0;

	if (child < 0)
		return errno;
	if (child == 0) {
		child = fork();
		if (child == 0)
			be_orphan(making);
		_exit(child < 0 ? errno : 0);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

int ga_orphan_start_with(int (*work)(void *context, const gpualloc_error *trouble), void *context,
			 const int *descriptors, int count, gpualloc_error *error)
{
	struct making making = {work, context, descriptors, count};
	int number = fork_twice(&making);

	return number == 0
		       ? 0
		       : ga_error_errno(error, GPUALLOC_EIO, number, "no process can be started");
}

int ga_orphan_start(int (*work)(void *context, const gpualloc_error *trouble), void *context,
		    int *ret_from, gpualloc_error *error)
{
	int answer[2], result;

	if (pipe2(answer, O_CLOEXEC) < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "no process can be started");
	result = ga_orphan_start_with(work, context, &answer[1], 1, error);
	close(answer[1]);
	if (result == 0)
		*ret_from = answer[0];
	else
		close(answer[0]);
	return result;
}

int ga_orphan_hand_on(void)
{
	return fcntl(GA_ORPHAN_ANSWER, F_SETFD, 0) < 0 ? errno : 0;
}

/* The caller may ignore or block the signal that ends it before its time. */
static void heed_signals(void)
{
	sigset_t none;

	(void)signal(SIGTERM, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

bool ga_orphan_say_runs(void)
{
	const char word = GA_ORPHAN_RUNS;
	ssize_t said;

	heed_signals();
	do
		said = write(GA_ORPHAN_ANSWER, &word, 1);
	while (said < 0 && errno == EINTR);
	close(GA_ORPHAN_ANSWER);
	return said == 1;
}

ssize_t ga_orphan_read(int from, void *data, size_t size)
{
	ssize_t got;

	do
		got = read(from, data, size);
	while (got < 0 && errno == EINTR);
	return got;
}
