/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking for a lease without waiting while others could be served first and do nothing: it pauses
 * for them, and that can be ended and has an end. The waiters are tickets made by hand. The pauses
 * are this program's own, and so is the clock, which moves in pauses only: nothing here takes time.
 */
#include "leasing.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { GPUS = 8, PAUSE_MS = 600, STOP_MS = 20000, FAR_TOO_MANY = 200 };

static const char dgx[] = "dgx1-volta";
static gpualloc_store *store;
static int ledger;
static off_t starts[GPUS], length; /* where the GPUs are in the ledger */

/* ---- the clock and the pauses ---- */

static int64_t now_ms = 1000000;
static int pauses;
static int (*at_pause)(void); /* NULL: the time passes; else what ppoll() returns */

int clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	if (clock != CLOCK_MONOTONIC)
		return (int)syscall(SYS_clock_gettime, clock, ret_now);
	*ret_now = (struct timespec){now_ms / 1000, now_ms % 1000 * 1000000};
	return 0;
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *pause, const sigset_t *mask)
{
	const struct timespec at_once = {0};

	(void)pause, (void)mask;
	CHECK(++pauses < FAR_TOO_MANY);
	now_ms += PAUSE_MS;
	return at_pause ? at_pause() : (int)syscall(SYS_ppoll, fds, count, &at_once, NULL, 0);
}

/* ---- the ledger ---- */

static void set_lock(off_t start, off_t size, short kind)
{
	struct flock lock = {.l_type = kind, .l_start = start, .l_len = size};

	CHECK_INT(fcntl(ledger, F_OFD_SETLK, &lock), 0);
}

/* What the record of a lease on all of them says. */
static void find_gpus(void)
{
	gpualloc_lease *lease = NULL;
	char path[128], *text, *line, *rest;
	size_t count = 0, size;
	FILE *file;

	CHECK_INT(leasing_ask(store, dgx, GPUS, 0, &lease, NULL), 0);
	(void)snprintf(path, sizeof path, "%s/store/records/%s", leasing_folder(),
		       gpualloc_lease_id(lease));
	file = fopen(path, "re");
	CHECK(file != NULL);
	text = calloc(1, 8192);
	size = fread(text, 1, 8191, file);
	CHECK(size > 0);
	(void)fclose(file);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *end;

		if (strncmp(line, "device ", 7) != 0)
			continue;
		CHECK(count < GPUS);
		starts[count++] = (off_t)strtoull(strrchr(line, ' '), &end, 16);
		length = (off_t)strtoull(end + 1, NULL, 16);
	}
	CHECK_INT(count, GPUS);
	free(text);
	gpualloc_lease_free(lease);
}

/* A waiter in another pid namespace, of whose process nothing is known. */
static void add_ticket(int number, int count, int first, int last)
{
	const off_t tickets = ((off_t)1 << 62) + ((off_t)1 << 40);
	char path[128];
	FILE *file;

	set_lock(tickets + number, 1, F_WRLCK);
	(void)snprintf(path, sizeof path, "%s/store/queue/%d", leasing_folder(), number);
	file = fopen(path, "we");
	CHECK(file != NULL);
	(void)fprintf(file, "number %d\npid 1\npidns 1\nsince %lld\ncount %d\nmemory 0\nplaces",
		      number, (long long)time(NULL), count);
	for (int i = first; i <= last; i++)
		(void)fprintf(file, " %llx:%llx", (unsigned long long)starts[i],
			      (unsigned long long)length);
	CHECK(fprintf(file, "\n") > 0);
	CHECK_INT(fclose(file), 0);
}

static void start(void)
{
	char path[128];

	store = leasing_store();
	find_gpus();
	(void)snprintf(path, sizeof path, "%s/store/ledger", leasing_folder());
	ledger = open(path, O_RDWR | O_CLOEXEC);
	CHECK(ledger >= 0);
	pauses = 0;
}

static void end(void)
{
	close(ledger);
	gpualloc_store_free(store);
}

/* ---- asking ---- */

static int told, stops_after = -1; /* it says stop when it is told so often */

static int tell(void *context, size_t place, const char *sentence)
{
	(void)context;
	CHECK_INT(place, 1);
	CHECK_HAS(sentence, "kept");
	return ++told == stops_after;
}

static int ask_telling(int64_t count, int stop, gpualloc_error *error)
{
	gpualloc_lease_wish *wish = gpualloc_lease_wish_new();
	gpualloc_request *request = gpualloc_request_new();
	gpualloc_lease *lease = NULL;
	int result;

	gpualloc_request_set_count(request, count);
	CHECK_INT(gpualloc_lease_wish_set_machine(wish, dgx, 0), 0);
	gpualloc_lease_wish_set_wait(wish, 0, tell, NULL);
	if (stop >= 0)
		gpualloc_lease_wish_set_stop(wish, stop);
	result = gpualloc_lease_acquire(store, request, wish, &lease, error);
	gpualloc_lease_free(lease);
	gpualloc_lease_wish_free(wish);
	gpualloc_request_free(request);
	return result;
}

/* ---- the cases ---- */

static void those_in_front_are_waited_for(void)
{
	start();
	add_ticket(1, GPUS, 0, GPUS - 1);
	CHECK_INT(ask_telling(GPUS, -1, NULL), 0);
	CHECK(pauses > 0);
	end();
}

static void a_descriptor_ends_the_pause(void)
{
	gpualloc_error *error = gpualloc_error_new();
	int stop[2];

	CHECK_INT(pipe(stop), 0);
	CHECK_INT(write(stop[1], "x", 1), 1);
	start();
	add_ticket(1, GPUS, 0, GPUS - 1);
	CHECK_INT(ask_telling(GPUS, stop[0], error), GPUALLOC_ETIMEOUT);
	CHECK_TEXT(gpualloc_error_message(error), "stopped waiting");
	CHECK_INT(pauses, 1);
	CHECK_INT(told, 0);
	CHECK_INT(ask_telling(GPUS, -1, NULL), 0); /* and nothing is left behind */
	gpualloc_error_free(error);
	end();
}

static int interrupted(void)
{
	errno = EINTR;
	return -1;
}

/* The caller is asked at once, not only when it is told anyway. */
static void a_signal_ends_the_pause(void)
{
	gpualloc_error *error = gpualloc_error_new();

	start();
	add_ticket(1, GPUS, 0, GPUS - 1);
	at_pause = interrupted;
	stops_after = 1;
	CHECK_INT(ask_telling(GPUS, -1, error), GPUALLOC_ETIMEOUT);
	CHECK_TEXT(gpualloc_error_message(error), "stopped waiting");
	CHECK_INT(pauses, 1);
	CHECK_INT(told, 1);
	gpualloc_error_free(error);
	end();
}

static int taken = -1; /* the GPU that somebody has who plays tricks */

static void take(int gpu)
{
	if (taken >= 0)
		set_lock(starts[taken], length, F_UNLCK);
	taken = gpu;
	set_lock(starts[gpu], length, F_WRLCK);
}

/* Now one waiter could be served, now the other, so neither misses its turn. */
static int trick(void)
{
	take(taken == 0 ? GPUS / 2 : 0);
	return 0;
}

static void start_tricks(void)
{
	start();
	add_ticket(1, GPUS / 2, 0, GPUS / 2 - 1);
	add_ticket(2, GPUS / 2, GPUS / 2, GPUS - 1);
	take(0);
	at_pause = trick;
}

static void pauses_have_an_end(void)
{
	int64_t before;

	start_tricks();
	before = now_ms;
	CHECK_INT(ask_telling(GPUS / 2 + 1, -1, NULL), GPUALLOC_EBUSY);
	CHECK(now_ms - before >= STOP_MS);
	CHECK(told > 1);
	end();
}

static void the_caller_can_end_long_pauses(void)
{
	start_tricks();
	stops_after = 3;
	CHECK_INT(ask_telling(GPUS / 2 + 1, -1, NULL), GPUALLOC_ETIMEOUT);
	CHECK_INT(told, 3);
	end();
}

static const struct test_case cases[] = {
	{"those in front are waited for a while", those_in_front_are_waited_for},
	{"a descriptor ends the pause", a_descriptor_ends_the_pause},
	{"a signal ends the pause", a_signal_ends_the_pause},
	{"pauses have an end whatever others do", pauses_have_an_end},
	{"the caller can end long pauses", the_caller_can_end_long_pauses},
};

TEST_MAIN(cases)
