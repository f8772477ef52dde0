/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chaos: many processes lease from one machine at once, in every way the library knows, and end in
 * every way the kernel knows. At the same time the machine changes, processes are frozen, live in
 * their own pid namespaces and leave leases within leases behind, and the store is set up again.
 * Nothing is judged here. Each process tells a witness, a file outside the store that was opened
 * earlier, what it thinks it holds and from when to when; another program (chaos_test.py) reads
 * that. Only one thing is checked here, at the end, when all are dead: that the kernel's locks on
 * the ledger are gone.
 *   chaos FOLDER GRANTS SEED CONCURRENCY VARIANTS [OTHERS]
 * FOLDER has the variants of the machine, machines/0.full.json, 0.unplaced.json and 0.list.txt and
 * so on; "store" and "witness" are made in it. OTHERS leases are of somebody else and stay.
 *
 * The witness has one line for each event, with nanoseconds of CLOCK_MONOTONIC:
 *   B id time start wait memory within devices   granted; start is when it began to ask, and within
 *                                         the id of the lease that it is in, or 0
 *   E id time                             the first process of the lease ends its use
 *   G id time                             so does one that inherited it
 *   K id time                             the first process is about to be killed
 *   P id time                             it is the first of a pid namespace, which dies with it
 *   S id time                             is about to be stopped
 *   R id time status                      refused
 *   N id time note                        granted, but something was missing
 *   X id time sentence                    what must not happen
 * A process killed while writing leaves part of a line, so each line begins with a newline and ends
 * with " .": a device's name that was cut in two is not one that somebody had.
 */
#include "chaos.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_S = 90 }; /* no process has ended for so long: something hangs */

static volatile sig_atomic_t is_called_off; /* by SIGINT or SIGTERM */

struct runner {
	struct plan plan;
	pid_t pid; /* 0: the place is free */
	int pidfd;
	bool is_stopped;
	int64_t start;
};

struct rage {
	struct chaos chaos;
	long wanted, killed, stopped, set_up, changes;
	size_t at_once, running;
	int64_t next_change, last_end;
	struct runner runners[MOST_AT_ONCE];
};

/* ---- small things ---- */

int64_t chaos_now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

void chaos_tell(const struct chaos *chaos, char what, unsigned long id, int64_t time,
		const char *format, ...)
{
	enum { END = 2 };
	char line[4096];
	va_list arguments;
	int length = snprintf(line, sizeof line, "\n%c %lu %lld ", what, id, (long long)time);

	va_start(arguments, format);
	length += vsnprintf(line + length, sizeof line - END - (size_t)length, format, arguments);
	va_end(arguments);
	if (length >= (int)sizeof line - END)
		length = (int)sizeof line - END - 1;
	memcpy(line + length, " .", END + 1);
	length += END;
	for (char *c = line + 1; *c; c++)
		if (*c == '\n')
			*c = ' ';
	if (write(chaos->witness, line, (size_t)length) != length)
		_exit(4);
}

/* ---- what befalls them ---- */

static size_t place_of(const struct rage *rage, const struct runner *runner)
{
	return (size_t)(runner - rage->runners);
}

static void go_on(struct rage *rage, struct runner *runner)
{
	if (runner->is_stopped)
		chaos_go_on(&rage->chaos, place_of(rage, runner), runner->pid);
	runner->is_stopped = false;
}

static void start_setup(struct rage *rage, const struct plan *plan)
{
	if (plan->kind == LEASES)
		return;
	rage->chaos.setup_runs = true;
	rage->set_up++;
}

static bool start_runner(struct rage *rage, struct runner *runner)
{
	struct chaos *chaos = &rage->chaos;

	runner->plan = chaos_make_plan(chaos);
	runner->is_stopped = false;
	runner->start = chaos_now();
	runner->pid = chaos_fork(chaos, place_of(rage, runner), runner->plan.is_apart);
	if (runner->pid == 0)
		chaos_run(chaos, &runner->plan);
	if (runner->pid < 0) {
		runner->pid = 0;
		return false;
	}
	start_setup(rage, &runner->plan);
	runner->pidfd = (int)syscall(SYS_pidfd_open, runner->pid, 0);
	rage->running++;
	return runner->pidfd >= 0;
}

static void kill_now(struct rage *rage, struct runner *runner)
{
	struct plan *plan = &runner->plan;

	plan->kill_at = plan->stop_at = plan->go_at = -1;
	chaos_tell(&rage->chaos, 'K', plan->id, chaos_now(), "-");
	(void)kill(runner->pid, SIGKILL);
	go_on(rage, runner); /* also what was frozen with it */
	rage->killed++;
}

static void stop_now(struct rage *rage, struct runner *runner)
{
	runner->plan.stop_at = -1;
	chaos_tell(&rage->chaos, 'S', runner->plan.id, chaos_now(), "-");
	chaos_stop(&rage->chaos, place_of(rage, runner), runner->pid);
	runner->is_stopped = true;
	rage->stopped++;
}

/* Does what is due; returns when the next thing is due. */
static int64_t befall(struct rage *rage, struct runner *runner, int64_t time, int64_t next)
{
	struct plan *plan = &runner->plan;
	int64_t age = time - runner->start;

	if (plan->kill_at >= 0 && age >= plan->kill_at) {
		kill_now(rage, runner);
		return next;
	}
	if (plan->stop_at >= 0 && age >= plan->stop_at)
		stop_now(rage, runner);
	if (plan->stop_at < 0 && plan->go_at >= 0 && age >= plan->go_at) {
		plan->go_at = -1;
		go_on(rage, runner);
	}
	for (int i = 0; i < 3; i++) {
		int64_t due = i == 0 ? plan->kill_at : i == 1 ? plan->stop_at : plan->go_at;

		if (due >= 0 && runner->start + due < next)
			next = runner->start + due;
	}
	return next;
}

static void reap(struct rage *rage, struct runner *runner)
{
	const struct plan *plan = &runner->plan;
	bool was_killed;
	int status = 0;

	(void)waitpid(runner->pid, &status, 0);
	go_on(rage, runner); /* those that it left behind */
	close(runner->pidfd);
	was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	if (!was_killed && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
		chaos_tell(&rage->chaos, 'X', plan->id, chaos_now(), "ended with status %#x",
			   (unsigned)status);
	if (plan->kind != LEASES)
		rage->chaos.setup_runs = false;
	if (plan->kind == SETS_UP)
		rage->chaos.setup_was_killed = was_killed;
	runner->pid = 0;
	rage->running--;
}

/* GPUs go into MIG mode and out of it, and each description of them says so at its own time. */
static int64_t change_machine(struct rage *rage, int64_t time)
{
	struct chaos *chaos = &rage->chaos;

	if (time < rage->next_change)
		return rage->next_change;
	if (chaos_change_machine(chaos, (enum form)chaos_below(chaos, FORMS)) < 0)
		chaos_tell(chaos, 'X', 0, time, "the machine cannot be changed: %s",
			   strerror(errno));
	rage->changes++;
	rage->next_change = time + MS + chaos_below(chaos, 20 * MS);
	return rage->next_change;
}

/*
 * One round: handles all that are due and all that have ended. 0, or -1 if nothing has ended for
 * too long.
 */
static int turn(struct rage *rage)
{
	struct pollfd polls[MOST_AT_ONCE];
	struct runner *of[MOST_AT_ONCE];
	nfds_t count = 0;
	int64_t time = chaos_now(), next = change_machine(rage, time);
	struct timespec timeout;

	for (size_t i = 0; i < rage->at_once; i++) {
		struct runner *runner = &rage->runners[i];

		if (!runner->pid)
			continue;
		next = befall(rage, runner, time, next);
		of[count] = runner;
		polls[count++] = (struct pollfd){.fd = runner->pidfd, .events = POLLIN};
	}
	time = chaos_now();
	timeout = (struct timespec){.tv_sec = next > time ? (next - time) / 1000000000 : 0,
				    .tv_nsec = next > time ? (next - time) % 1000000000 : 0};
	(void)ppoll(polls, count, &timeout, NULL);
	for (nfds_t i = 0; i < count; i++) {
		if (!polls[i].revents)
			continue;
		reap(rage, of[i]);
		rage->last_end = chaos_now();
	}
	return chaos_now() - rage->last_end > (int64_t)PATIENCE_S * 1000 * MS ? -1 : 0;
}

static void end_all(struct rage *rage)
{
	for (size_t i = 0; i < rage->at_once; i++)
		if (rage->runners[i].pid) {
			chaos_tell(&rage->chaos, is_called_off ? 'K' : 'X',
				   rage->runners[i].plan.id, chaos_now(), "hangs");
			(void)kill(rage->runners[i].pid, SIGKILL);
			reap(rage, &rage->runners[i]);
		}
}

static int rage_on(struct rage *rage)
{
	const _Atomic long *grants = &rage->chaos.shared->grants;
	int result = 0;

	rage->last_end = chaos_now();
	while (result == 0 && !is_called_off && (rage->running > 0 || *grants < rage->wanted)) {
		for (size_t i = 0; i < rage->at_once && *grants < rage->wanted; i++)
			if (!rage->runners[i].pid && !start_runner(rage, &rage->runners[i]))
				break;
		result = turn(rage);
	}
	end_all(rage);
	/* Orphaned children become ours: see main(). */
	while (waitpid(-1, NULL, 0) > 0)
		;
	return result;
}

/* ---- afterwards ---- */

/* Ask the kernel, not the code under test. */
static int locks_left(const char *store)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[5000];
	int fd, left;

	(void)snprintf(path, sizeof path, "%s/ledger", store);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return -1;
	left = lock.l_type != F_UNLCK;
	close(fd);
	return left;
}

static size_t told_left(const struct chaos *chaos)
{
	gpualloc_leases *leases = NULL;
	size_t left = SIZE_MAX;

	if (gpualloc_leases_read(chaos->store, &leases, NULL) == 0)
		left = gpualloc_leases_held_count(leases) + gpualloc_leases_waiter_count(leases);
	gpualloc_leases_free(leases);
	return left;
}

/* The last setup may have been killed. */
static bool is_in_order(const struct chaos *chaos, gpualloc_error *error)
{
	if (gpualloc_store_setup(chaos->store_path, error) == 0 &&
	    gpualloc_store_check(chaos->store_path, error) == 0)
		return true;
	printf("the store is not in order: %s\n", gpualloc_error_message(error));
	return false;
}

static int tell_end(const struct rage *rage, const char *seed, size_t others, int64_t start)
{
	const struct chaos *chaos = &rage->chaos;
	int locks = others ? 0 : locks_left(chaos->store_path);
	size_t left = told_left(chaos) - others;

	printf("seed %s: %lu runners, %ld kills from outside, %ld stops, %ld setups, %ld changes of "
	       "the machine, %.1f s; left: locks %d, leases and waiters shown %zu\n",
	       seed, chaos->started, rage->killed, rage->stopped, rage->set_up, rage->changes,
	       (double)(chaos_now() - start) / 1e9, locks, left);
	if (!chaos->has_frozen)
		printf("cannot make a cgroup (version 2) to freeze here: using SIGSTOP instead\n");
	if (!chaos->has_apart)
		printf("cannot make pid namespaces here: going on without them\n");
	return locks || left ? 1 : 0;
}

/* ---- the program ---- */

static bool open_all(struct rage *rage, const char *folder, gpualloc_error *error)
{
	struct chaos *chaos = &rage->chaos;
	char path[4096];

	(void)snprintf(chaos->folder, sizeof chaos->folder, "%s", folder);
	(void)snprintf(chaos->store_path, sizeof chaos->store_path, "%s/store", folder);
	(void)snprintf(path, sizeof path, "%s/witness", folder);
	chaos->witness = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	chaos->shared = mmap(NULL, sizeof *chaos->shared, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (chaos->witness < 0 || chaos->shared == MAP_FAILED || rage->at_once > MOST_AT_ONCE ||
	    chaos->variants < 1 || chaos_prepare(chaos) < 0) {
		(void)fprintf(stderr, "chaos: %s cannot be used: %s\n", folder, strerror(errno));
		return false;
	}
	if (gpualloc_store_setup(chaos->store_path, error) == 0 &&
	    gpualloc_store_open(chaos->store_path, 0, &chaos->store, error) == 0)
		return true;
	(void)fprintf(stderr, "chaos: %s\n", gpualloc_error_message(error));
	return false;
}

static void call_off(int signal_number)
{
	(void)signal_number;
	is_called_off = 1;
}

int main(int argc, char **argv)
{
	static struct rage rage;
	struct chaos *chaos = &rage.chaos;
	gpualloc_error *error = gpualloc_error_new();
	int64_t start = chaos_now();
	int result = 2;

	if (argc != 6 && argc != 7) {
		(void)fprintf(stderr, "chaos FOLDER GRANTS SEED CONCURRENCY VARIANTS [OTHERS]\n");
		return 2;
	}
	rage.wanted = strtol(argv[2], NULL, 10);
	chaos->random = strtoull(argv[3], NULL, 10);
	rage.at_once = strtoul(argv[4], NULL, 10);
	chaos->variants = strtol(argv[5], NULL, 10);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)signal(SIGINT, call_off);
	(void)signal(SIGTERM, call_off);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (open_all(&rage, argv[1], error)) {
		result = rage_on(&rage) < 0;
		result |=
			tell_end(&rage, argv[3], argc == 7 ? strtoul(argv[6], NULL, 10) : 0, start);
		result |= !is_in_order(chaos, error);
		result |= is_called_off;
	}
	chaos_clean_up(chaos);
	gpualloc_store_free(chaos->store);
	gpualloc_error_free(error);
	return result;
}
