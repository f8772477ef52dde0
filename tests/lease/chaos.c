/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chaos: many processes lease from one machine at once, in every way the library knows, and end in
 * every way the kernel knows. Nothing is judged here. Each process tells a witness, a file that
 * lies outside the store and was opened before, what it believes to hold and from when to when;
 * another program (chaos.py) reads it. Only this is looked at here, at the end, when all are dead:
 * that the kernel's locks on the ledger are gone.
 *
 *   chaos MACHINE STORE WITNESS GRANTS SEED CONCURRENCY
 *
 * The witness has a line an event, with nanoseconds of CLOCK_MONOTONIC:
 *   B id time start wait memory devices   granted; start is when it began to ask
 *   E id time                             the first process of the lease ends its use
 *   G id time                             so does the child that inherited it
 *   K id time                             the first process is about to be killed
 *   S id time                             is about to be stopped
 *   R id time status                      refused
 *   N id time note                        granted, but something had to be gone without
 *   X id time sentence                    what must not happen
 * A process that is killed while it writes leaves a part of a line: so a line begins with its end.
 */
#include <gpualloc/gpualloc.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	MOST_AT_ONCE = 256,
	PATIENCE_S = 90, /* without any end of any process: something hangs */
	US = 1000,
	MS = 1000 * US
};

enum ending { RELEASES, FREES, EXITS, DIES, LEAVES_CHILD };

struct plan {
	unsigned long id;
	int64_t count, memory, wait_ms;
	bool mig;
	enum ending ending;
	int64_t hold, child_hold;        /* ns */
	int64_t kill_at, stop_at, go_at; /* ns after its start, -1 for never */
};

struct runner {
	struct plan plan;
	pid_t pid; /* 0: the place is free */
	int pidfd;
	int64_t start;
};

struct chaos {
	const char *machine, *store_path;
	gpualloc_store *store;
	int witness;
	uint64_t random;
	_Atomic long *grants;
	long wanted, started, killed, stopped;
	size_t at_once, running;
	struct runner runners[MOST_AT_ONCE];
};

/* ---- small things ---- */

static int64_t now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static uint64_t next_random(struct chaos *chaos)
{
	uint64_t z = chaos->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static int64_t below(struct chaos *chaos, int64_t end)
{
	return (int64_t)(next_random(chaos) % (uint64_t)end);
}

static bool percent(struct chaos *chaos, int64_t share)
{
	return below(chaos, 100) < share;
}

__attribute__((format(printf, 5, 6))) static void tell(const struct chaos *chaos, char what,
						       unsigned long id, int64_t time,
						       const char *format, ...)
{
	char line[4096];
	va_list arguments;
	int length = snprintf(line, sizeof line, "\n%c %lu %lld ", what, id, (long long)time);

	va_start(arguments, format);
	length += vsnprintf(line + length, sizeof line - (size_t)length, format, arguments);
	va_end(arguments);
	if (length >= (int)sizeof line)
		length = (int)sizeof line - 1;
	for (char *c = line + 1; *c; c++)
		if (*c == '\n')
			*c = ' ';
	if (write(chaos->witness, line, (size_t)length) != length)
		_exit(4);
}

static void pass(int64_t time)
{
	struct timespec left = {.tv_sec = time / 1000000000, .tv_nsec = time % 1000000000};

	while (time > 0 && nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

/* ---- one runner ---- */

static void tell_grant(const struct chaos *chaos, const struct plan *plan,
		       const gpualloc_lease *lease, int64_t start, int64_t time)
{
	char devices[2048] = "";
	size_t length = 0;

	for (size_t i = 0; i < gpualloc_lease_device_count(lease); i++)
		length += (size_t)snprintf(devices + length, sizeof devices - length, "%s%s",
					   i ? "," : "",
					   gpualloc_device_uuid(gpualloc_lease_device(lease, i)));
	tell(chaos, 'B', plan->id, time, "%lld %d %lld %s", (long long)start, plan->wait_ms != 0,
	     (long long)gpualloc_lease_memory(lease), devices);
	atomic_fetch_add(chaos->grants, 1);
	for (size_t i = 0; gpualloc_lease_note(lease, i); i++)
		tell(chaos, 'N', plan->id, time, "%s", gpualloc_lease_note(lease, i));
}

static _Noreturn void end(const struct chaos *chaos, const struct plan *plan, gpualloc_lease *lease,
			  gpualloc_error *error)
{
	pass(plan->hold);
	if (plan->ending == LEAVES_CHILD && fork() == 0) {
		pass(plan->child_hold);
		tell(chaos, 'G', plan->id, now(), "-");
		_exit(0);
	}
	tell(chaos, plan->ending == DIES ? 'K' : 'E', plan->id, now(), "-");
	if (plan->ending == DIES)
		(void)raise(SIGKILL);
	if (plan->ending == RELEASES && gpualloc_lease_release(lease, error) < 0)
		tell(chaos, 'X', plan->id, now(), "release: %s", gpualloc_error_message(error));
	if (plan->ending == RELEASES || plan->ending == FREES)
		gpualloc_lease_free(lease);
	_exit(0);
}

static _Noreturn void run(const struct chaos *chaos, const struct plan *plan)
{
	gpualloc_error *error = gpualloc_error_new();
	gpualloc_request *request = gpualloc_request_new();
	gpualloc_lease_wish *wish = gpualloc_lease_wish_new();
	gpualloc_lease *lease = NULL;
	int64_t start = now();
	int status;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	gpualloc_request_set_count(request, plan->count);
	if (plan->memory)
		gpualloc_request_set_memory(request, plan->memory, 1);
	if (plan->mig)
		(void)gpualloc_request_set_mig(request, NULL);
	(void)gpualloc_lease_wish_set_machine(wish, chaos->machine, 60000);
	gpualloc_lease_wish_set_wait(wish, plan->wait_ms, NULL, NULL);
	status = gpualloc_lease_acquire(chaos->store, request, wish, &lease, error);
	if (status == 0) {
		tell_grant(chaos, plan, lease, start, now());
		end(chaos, plan, lease, error);
	}
	if (status == GPUALLOC_EBUSY || status == GPUALLOC_ETIMEOUT)
		tell(chaos, 'R', plan->id, now(), "%d", status);
	else
		tell(chaos, 'X', plan->id, now(), "acquire: %d %s", status,
		     gpualloc_error_message(error));
	_exit(0);
}

/* ---- what befalls them ---- */

static int64_t how_many(struct chaos *chaos)
{
	int64_t luck = below(chaos, 100);

	return luck < 55   ? 1
	       : luck < 75 ? 2
	       : luck < 90 ? 3 + below(chaos, 2)
			   : 5 + below(chaos, 4);
}

static struct plan make_plan(struct chaos *chaos)
{
	struct plan plan = {
		.id = (unsigned long)++chaos->started, .kill_at = -1, .stop_at = -1, .go_at = -1};
	int64_t luck = below(chaos, 100);

	plan.mig = percent(chaos, 30);
	plan.count = how_many(chaos);
	if (plan.mig && plan.count > 4)
		plan.count = 4;
	if (percent(chaos, 40))
		plan.memory =
			(1 + below(chaos, plan.mig ? 5000 : 30000)) * 1048576 + below(chaos, 2);
	/* Few that do not wait: each stands aside for a while for those that do. */
	plan.wait_ms = luck < 10 ? 0 : luck < 75 ? -1 : 20 + below(chaos, 500);
	luck = below(chaos, 100);
	plan.ending = luck < 35   ? RELEASES
		      : luck < 45 ? FREES
		      : luck < 65 ? EXITS
		      : luck < 85 ? DIES
				  : LEAVES_CHILD;
	plan.hold = below(chaos, 4 * MS);
	plan.child_hold = below(chaos, 8 * MS);
	if (percent(chaos, 20))
		plan.kill_at = below(chaos, percent(chaos, 70) ? 10 * MS : 100 * MS);
	if (percent(chaos, 8)) {
		plan.stop_at = below(chaos, 10 * MS);
		plan.go_at = plan.stop_at + below(chaos, 60 * MS);
		if (percent(chaos, 1)) /* longer than anybody waits for the arbiter */
			plan.go_at += 2500LL * MS;
	}
	return plan;
}

static bool start_runner(struct chaos *chaos, struct runner *runner)
{
	runner->plan = make_plan(chaos);
	runner->start = now();
	runner->pid = fork();
	if (runner->pid == 0)
		run(chaos, &runner->plan);
	if (runner->pid < 0) {
		runner->pid = 0;
		return false;
	}
	runner->pidfd = (int)syscall(SYS_pidfd_open, runner->pid, 0);
	chaos->running++;
	return runner->pidfd >= 0;
}

/* Does what is due and returns when the next is. */
static int64_t befall(struct chaos *chaos, struct runner *runner, int64_t time, int64_t next)
{
	struct plan *plan = &runner->plan;
	int64_t age = time - runner->start;

	if (plan->kill_at >= 0 && age >= plan->kill_at) {
		plan->kill_at = plan->stop_at = plan->go_at = -1;
		tell(chaos, 'K', plan->id, now(), "-");
		(void)kill(runner->pid, SIGKILL);
		chaos->killed++;
		return next;
	}
	if (plan->stop_at >= 0 && age >= plan->stop_at) {
		plan->stop_at = -1;
		tell(chaos, 'S', plan->id, now(), "-");
		(void)kill(runner->pid, SIGSTOP);
		chaos->stopped++;
	}
	if (plan->stop_at < 0 && plan->go_at >= 0 && age >= plan->go_at) {
		plan->go_at = -1;
		(void)kill(runner->pid, SIGCONT);
	}
	for (int i = 0; i < 3; i++) {
		int64_t due = i == 0 ? plan->kill_at : i == 1 ? plan->stop_at : plan->go_at;

		if (due >= 0 && runner->start + due < next)
			next = runner->start + due;
	}
	return next;
}

static void reap(struct chaos *chaos, struct runner *runner)
{
	int status = 0;

	(void)waitpid(runner->pid, &status, 0);
	close(runner->pidfd);
	if (WIFEXITED(status) ? WEXITSTATUS(status) != 0 : WTERMSIG(status) != SIGKILL)
		tell(chaos, 'X', runner->plan.id, now(), "ended with status %#x", (unsigned)status);
	runner->pid = 0;
	chaos->running--;
}

/* One round: whoever is due, whoever ended. 0, or -1 where nothing has ended for too long. */
static int turn(struct chaos *chaos, int64_t *last_end)
{
	struct pollfd polls[MOST_AT_ONCE];
	struct runner *of[MOST_AT_ONCE];
	nfds_t count = 0;
	int64_t time = now(), next = time + 1000LL * MS;
	struct timespec timeout;

	for (size_t i = 0; i < chaos->at_once; i++) {
		struct runner *runner = &chaos->runners[i];

		if (!runner->pid)
			continue;
		next = befall(chaos, runner, time, next);
		of[count] = runner;
		polls[count++] = (struct pollfd){.fd = runner->pidfd, .events = POLLIN};
	}
	time = now();
	timeout = (struct timespec){.tv_sec = next > time ? (next - time) / 1000000000 : 0,
				    .tv_nsec = next > time ? (next - time) % 1000000000 : 0};
	(void)ppoll(polls, count, &timeout, NULL);
	for (nfds_t i = 0; i < count; i++) {
		if (!polls[i].revents)
			continue;
		reap(chaos, of[i]);
		*last_end = now();
	}
	return now() - *last_end > (int64_t)PATIENCE_S * 1000 * MS ? -1 : 0;
}

static void end_all(struct chaos *chaos)
{
	for (size_t i = 0; i < chaos->at_once; i++)
		if (chaos->runners[i].pid) {
			tell(chaos, 'X', chaos->runners[i].plan.id, now(), "hangs");
			(void)kill(chaos->runners[i].pid, SIGKILL);
			reap(chaos, &chaos->runners[i]);
		}
}

static int rage(struct chaos *chaos)
{
	int64_t last_end = now();
	int result = 0;

	while (result == 0 && (chaos->running > 0 || *chaos->grants < chaos->wanted)) {
		for (size_t i = 0; i < chaos->at_once && *chaos->grants < chaos->wanted; i++)
			if (!chaos->runners[i].pid && !start_runner(chaos, &chaos->runners[i]))
				break;
		result = turn(chaos, &last_end);
	}
	end_all(chaos);
	/* Children that were left behind come to us: see main(). */
	while (waitpid(-1, NULL, 0) > 0)
		;
	return result;
}

/* ---- afterwards ---- */

/* Asked of the kernel, and not of the code under test. */
static int locks_left(const char *store)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[4096];
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
	size_t left = 1;

	if (gpualloc_leases_read(chaos->store, &leases, NULL) == 0)
		left = gpualloc_leases_held_count(leases) + gpualloc_leases_waiter_count(leases);
	gpualloc_leases_free(leases);
	return left;
}

int main(int argc, char **argv)
{
	static struct chaos chaos;
	gpualloc_error *error = gpualloc_error_new();
	int64_t start = now();
	int result;

	if (argc != 7) {
		(void)fprintf(stderr, "chaos MACHINE STORE WITNESS GRANTS SEED CONCURRENCY\n");
		return 2;
	}
	chaos.machine = argv[1];
	chaos.store_path = argv[2];
	chaos.witness = open(argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	chaos.wanted = strtol(argv[4], NULL, 10);
	chaos.random = strtoull(argv[5], NULL, 10);
	chaos.at_once = strtoul(argv[6], NULL, 10);
	chaos.grants = mmap(NULL, sizeof *chaos.grants, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (chaos.witness < 0 || chaos.grants == MAP_FAILED || chaos.at_once > MOST_AT_ONCE)
		return 2;
	if (gpualloc_store_setup(chaos.store_path, error) < 0 ||
	    gpualloc_store_open(chaos.store_path, 0, &chaos.store, error) < 0) {
		(void)fprintf(stderr, "chaos: %s\n", gpualloc_error_message(error));
		return 2;
	}
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	result = rage(&chaos);
	printf("seed %s: %ld runners, %ld kills from outside, %ld stops, %.1f s; left: locks %d, "
	       "leases and waiters shown %zu\n",
	       argv[5], chaos.started, chaos.killed, chaos.stopped, (double)(now() - start) / 1e9,
	       locks_left(chaos.store_path), told_left(&chaos));
	if (locks_left(chaos.store_path) || told_left(&chaos))
		result = 1;
	gpualloc_store_free(chaos.store);
	gpualloc_error_free(error);
	return result ? 1 : 0;
}
