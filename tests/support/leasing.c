/* SPDX-License-Identifier: Apache-2.0 */
/* Stores and holders for tests; see leasing.h. */
#include "leasing.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];
static pid_t maker;

static void remove_folder(void)
{
	if (getpid() == maker)
		(void)test_remove_tree(folder);
}

const char *leasing_folder(void)
{
	if (maker)
		return folder;
	(void)snprintf(folder, sizeof folder, "/tmp/gpualloc-test-XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	CHECK_INT(chmod(folder, 0755), 0);
	maker = getpid();
	(void)atexit(remove_folder);
	return folder;
}

gpualloc_store *leasing_store(void)
{
	gpualloc_error *error = gpualloc_error_new();
	gpualloc_store *store = NULL;
	char path[96];

	(void)snprintf(path, sizeof path, "%s/store", leasing_folder());
	if (gpualloc_store_setup(path, error) < 0 ||
	    gpualloc_store_open(path, 0, &store, error) < 0)
		CHECK_TEXT(gpualloc_error_message(error), "");
	gpualloc_error_free(error);
	unsetenv("GPUALLOC_LEASE");
	unsetenv("GPUALLOC_FD");
	return store;
}

static int ask(gpualloc_store *store, const char *machine, gpualloc_request *request,
	       int64_t wait_ms, gpualloc_lease **ret_lease, gpualloc_error *error)
{
	gpualloc_lease_wish *wish = gpualloc_lease_wish_new();
	int result;

	CHECK(wish != NULL);
	CHECK_INT(gpualloc_lease_wish_set_machine(wish, machine, 0), 0);
	gpualloc_lease_wish_set_wait(wish, wait_ms, NULL, NULL);
	result = gpualloc_lease_acquire(store, request, wish, ret_lease, error);
	gpualloc_lease_wish_free(wish);
	gpualloc_request_free(request);
	return result;
}

int leasing_ask(gpualloc_store *store, const char *machine, int64_t count, int64_t wait_ms,
		gpualloc_lease **ret_lease, gpualloc_error *error)
{
	gpualloc_request *request = gpualloc_request_new();

	CHECK(request != NULL);
	gpualloc_request_set_count(request, count);
	return ask(store, machine, request, wait_ms, ret_lease, error);
}

int leasing_share(gpualloc_store *store, const char *machine, const char *only, int64_t bytes,
		  gpualloc_lease **ret_lease, gpualloc_error *error)
{
	gpualloc_request *request = gpualloc_request_new();

	CHECK(request != NULL);
	gpualloc_request_set_memory(request, bytes, 1);
	CHECK_INT(gpualloc_request_set_only(request, only), 0);
	return ask(store, machine, request, 0, ret_lease, error);
}

static _Noreturn void hold(gpualloc_store *store, const char *machine, int64_t count,
			   int64_t wait_ms, int say, int tell)
{
	gpualloc_lease *lease = NULL;
	int result = leasing_ask(store, machine, count, wait_ms, &lease, NULL);
	char word = result == 0 ? 'y' : result == GPUALLOC_ETIMEOUT ? 't' : 'n', byte;

	if (write(say, &word, 1) == 1)
		while (read(tell, &byte, 1) > 0)
			;
	_exit(0);
}

struct leasing_child leasing_hold(gpualloc_store *store, const char *machine, int64_t count,
				  int64_t wait_ms)
{
	struct leasing_child child = {0};
	int say[2], tell[2];

	CHECK_INT(pipe2(say, 0), 0);
	CHECK_INT(pipe2(tell, 0), 0);
	child.pid = fork();
	CHECK(child.pid >= 0);
	if (child.pid == 0) {
		/* A failing test leaves no process behind. */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(say[0]);
		close(tell[1]);
		hold(store, machine, count, wait_ms, say[1], tell[0]);
	}
	close(say[1]);
	close(tell[0]);
	child.say = say[0];
	child.tell = tell[1];
	return child;
}

char leasing_said(const struct leasing_child *child)
{
	enum { PATIENCE_MS = 60000 };
	struct pollfd fd = {.fd = child->say, .events = POLLIN};
	char word = 0;

	if (poll(&fd, 1, PATIENCE_MS) != 1)
		return 0;
	return read(child->say, &word, 1) == 1 ? word : 0;
}

void leasing_end(struct leasing_child *child)
{
	close(child->tell);
	close(child->say);
	CHECK_INT(waitpid(child->pid, NULL, 0), child->pid);
}

void leasing_kill(struct leasing_child *child)
{
	CHECK_INT(kill(child->pid, SIGKILL), 0);
	leasing_end(child);
}
