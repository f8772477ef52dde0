/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many processes of several users lease GPUs at once behind the administrator's fence, whole, in
 * shares and within other leases, and end in every way, many of them by SIGKILL. Each opens the
 * device nodes of what it has, and others; so do two witnesses all the time, one without a lease
 * and one that keeps one. Nobody may be refused what he has leased, or open what he has not.
 *   rush LEASES SEED AT_ONCE MACHINE
 * As root, with the store in its usual place, where /dev/nvidiaN has no driver: opening it is
 * refused by the fence (EPERM) or fails for want of one (ENXIO). The last GPU is the witness's.
 */
#include <gpualloc/gpualloc.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { GPUS = 8, KEPT = GPUS - 1, MOST_AT_ONCE = 64, FIRST_USER = 2001, USERS = 4 };
enum { MOST_COMPLAINTS = 10, MS = 1000 * 1000 };

struct shared {
	_Atomic long grants, whole, shares, within, killed, orphans, refusals, opens;
	_Atomic long let_in, kept_out; /* without a right, in spite of one */
	_Atomic long failures;
	_Atomic bool is_over;
};

struct rush {
	struct shared *shared;
	const char *machine;
	long leases;
	uint64_t random;
};

enum ending { RELEASES, FREES, EXITS, DIES };

struct plan {
	int64_t count, memory;
	enum ending ending;
	bool has_inner, has_orphan;
	long kill_after; /* nanoseconds; -1: it is left alone */
	long hold;
};

/* One process with a lease. */
struct holder {
	const struct rush *rush;
	gpualloc_store *store;
	gpualloc_lease *lease;
	gpualloc_error *error;
};

static uint64_t next_random(struct rush *rush)
{
	uint64_t z = rush->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static long below(struct rush *rush, long end)
{
	return (long)(next_random(rush) % (uint64_t)end);
}

static void pass(long time)
{
	struct timespec left = {.tv_nsec = time};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

/* ---- what must not happen ---- */

static __attribute__((format(printf, 3, 4))) void complain(const struct rush *rush,
							   _Atomic long *count, const char *format,
							   ...)
{
	va_list arguments;

	if (atomic_fetch_add(count, 1) >= MOST_COMPLAINTS || rush->shared->is_over)
		return;
	va_start(arguments, format);
	(void)flockfile(stdout);
	printf("# ");
	(void)vprintf(format, arguments);
	printf("\n");
	(void)fflush(stdout);
	funlockfile(stdout);
	va_end(arguments);
}

static void look(const struct rush *rush, int64_t gpu, bool may, const char *who)
{
	struct shared *shared = rush->shared;
	char path[32];
	int fd, number;

	(void)snprintf(path, sizeof path, "/dev/nvidia%d", (int)gpu);
	fd = open(path, O_RDWR | O_CLOEXEC);
	number = fd < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	atomic_fetch_add(&shared->opens, 1);
	if (may && number == EPERM)
		complain(rush, &shared->kept_out, "%s is refused GPU %d", who, (int)gpu);
	else if (!may && number != EPERM)
		complain(rush, &shared->let_in, "%s opens GPU %d: %s", who, (int)gpu,
			 strerror(number));
}

static bool has(const gpualloc_lease *lease, int64_t gpu)
{
	for (size_t i = 0; i < gpualloc_lease_device_count(lease); i++)
		if (gpualloc_device_minor(gpualloc_lease_device(lease, i)) == gpu)
			return true;
	return false;
}

static void look_at_all(const struct rush *rush, const gpualloc_lease *lease, const char *who)
{
	for (int64_t gpu = 0; gpu < GPUS; gpu++)
		look(rush, gpu, has(lease, gpu), who);
}

static void look_at_own(const struct rush *rush, const gpualloc_lease *lease, bool may,
			const char *who)
{
	for (size_t i = 0; i < gpualloc_lease_device_count(lease); i++)
		look(rush, gpualloc_device_minor(gpualloc_lease_device(lease, i)), may, who);
}

/* ---- leasing ---- */

static int acquire(struct holder *holder, int64_t count, int64_t memory, const char *only)
{
	gpualloc_request *request = gpualloc_request_new();
	gpualloc_lease_wish *wish = gpualloc_lease_wish_new();
	int status = gpualloc_request_set_only(request, only);

	gpualloc_request_set_count(request, count);
	if (memory)
		gpualloc_request_set_memory(request, memory, 1);
	if (status == 0)
		status = gpualloc_lease_wish_set_machine(wish, holder->rush->machine, 60000);
	gpualloc_lease_wish_set_wait(wish, -1, NULL, NULL);
	if (status == 0)
		status = gpualloc_lease_acquire(holder->store, request, wish, &holder->lease,
						holder->error);
	gpualloc_lease_wish_free(wish);
	gpualloc_request_free(request);
	return status;
}

static bool begin(struct holder *holder, int64_t count, int64_t memory, const char *only)
{
	struct shared *shared = holder->rush->shared;
	int status = acquire(holder, count, memory, only);

	if (status < 0) {
		complain(holder->rush, &shared->failures, "%s",
			 gpualloc_error_message(holder->error));
		return false;
	}
	atomic_fetch_add(&shared->grants, 1);
	return true;
}

static _Noreturn void die(void)
{
	(void)kill(getpid(), SIGKILL);
	_exit(1);
}

/* ---- a lease within: it narrows, and when it ends the one around it counts again ---- */

static _Noreturn void run_inner(struct holder *outer)
{
	const struct rush *rush = outer->rush;
	struct holder inner = {.rush = rush, .store = outer->store, .error = outer->error};

	look_at_all(rush, outer->lease, "a child");
	if (!begin(&inner, 1, 0, NULL))
		_exit(1);
	atomic_fetch_add(&rush->shared->within, 1);
	look_at_all(rush, inner.lease, "who has a lease within another");
	(void)gpualloc_lease_release(inner.lease, inner.error);
	look_at_all(rush, outer->lease, "who has had a lease within another");
	_exit(0);
}

static void start_inner(struct holder *holder)
{
	char number[16];
	pid_t pid;
	int fd;

	if (gpualloc_lease_hand_on(holder->lease, &fd, holder->error) < 0) {
		complain(holder->rush, &holder->rush->shared->failures, "%s",
			 gpualloc_error_message(holder->error));
		return;
	}
	(void)snprintf(number, sizeof number, "%d", fd);
	(void)setenv("GPUALLOC_FD", number, 1);
	(void)setenv("GPUALLOC_LEASE", gpualloc_lease_id(holder->lease), 1);
	pid = fork();
	if (pid == 0)
		run_inner(holder);
	look_at_all(holder->rush, holder->lease, "who has a lease with others within");
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* ---- one that has closed the lease: it may what its parent may, until that is gone ---- */

/* gone: end of file when the holder has ended. may_die: it may end at any time. */
static _Noreturn void be_orphan(const struct holder *holder, bool may_die, int told, int gone)
{
	const struct rush *rush = holder->rush;
	char byte = 0;

	look_at_own(rush, holder->lease, true, "a child");
	/* What a program does that closes what it does not know. */
	(void)syscall(SYS_close_range, 3, told - 1, 0);
	(void)syscall(SYS_close_range, gone + 1, ~0U, 0);
	if (!may_die)
		look_at_own(rush, holder->lease, true, "a child that has closed the lease");
	(void)!write(told, &byte, 1);
	while (read(gone, &byte, 1) < 0 && errno == EINTR)
		;
	look_at_own(rush, holder->lease, false, "a child whose lease has ended");
	atomic_fetch_add(&rush->shared->orphans, 1);
	_exit(0);
}

/* Both ends that the orphan needs have neighbouring numbers, the highest of all. */
static void start_orphan(const struct holder *holder, bool may_die, int gone)
{
	enum { TOLD = 900 };
	int ready[2];
	char byte;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return;
	if (fork() == 0) {
		(void)dup2(ready[1], TOLD);
		(void)dup2(gone, TOLD + 1);
		be_orphan(holder, may_die, TOLD, TOLD + 1);
	}
	close(ready[1]);
	(void)!read(ready[0], &byte, 1);
	close(ready[0]);
}

/* ---- a holder ---- */

static _Noreturn void end(struct holder *holder, enum ending ending)
{
	const struct rush *rush = holder->rush;

	if (ending == DIES)
		die();
	if (ending == EXITS)
		_exit(0);
	if (ending == RELEASES) {
		(void)gpualloc_lease_release(holder->lease, holder->error);
		look_at_own(rush, holder->lease, false, "who has released");
	}
	gpualloc_lease_free(holder->lease);
	for (int64_t gpu = 0; gpu < GPUS; gpu++)
		look(rush, gpu, false, "who has let go");
	_exit(0);
}

static _Noreturn void hold(struct rush *rush, const struct plan *plan, int gone)
{
	struct holder holder = {.rush = rush, .error = gpualloc_error_new()};
	gid_t user = (gid_t)(FIRST_USER + below(rush, USERS));

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setgroups(0, NULL) < 0 || setresgid(user, user, user) < 0 ||
	    setresuid(user, user, user) < 0 ||
	    gpualloc_store_open(NULL, 0, &holder.store, holder.error) < 0) {
		complain(rush, &rush->shared->failures, "%s", gpualloc_error_message(holder.error));
		_exit(1);
	}
	(void)prctl(PR_SET_DUMPABLE, 1);
	look(rush, below(rush, GPUS), false, "who has not leased yet");
	if (!begin(&holder, plan->count, plan->memory, "0-6"))
		_exit(1);
	atomic_fetch_add(plan->memory ? &rush->shared->shares : &rush->shared->whole, 1);
	look_at_all(rush, holder.lease, plan->memory ? "who has shares" : "who has a lease");
	if (plan->has_inner)
		start_inner(&holder);
	if (plan->has_orphan)
		start_orphan(&holder, plan->kill_after >= 0, gone);
	pass(plan->hold);
	look_at_own(rush, holder.lease, true, "who has a lease");
	end(&holder, plan->ending);
}

/* ---- who starts holders, one after the other, and kills them ---- */

static struct plan make_plan(struct rush *rush)
{
	long luck = below(rush, 100);
	struct plan plan = {.count = luck < 60 ? 1 : luck < 85 ? 2 : 3, .kill_after = -1};

	if (below(rush, 100) < 35)
		plan.memory = (1 + below(rush, 6)) << 30;
	luck = below(rush, 100);
	plan.ending = luck < 35 ? RELEASES : luck < 60 ? FREES : luck < 80 ? EXITS : DIES;
	plan.has_inner = !plan.memory && below(rush, 100) < 10;
	plan.has_orphan = below(rush, 100) < 15;
	plan.hold = below(rush, 2L * MS);
	if (below(rush, 100) < 20)
		plan.kill_after = below(rush, 20L * MS);
	return plan;
}

static void run_one(struct rush *rush)
{
	struct plan plan = make_plan(rush);
	struct timespec when = {.tv_nsec = plan.kill_after};
	struct pollfd poll = {.events = POLLIN};
	int gone[2];
	pid_t pid;

	if (pipe2(gone, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		/* Only the worker has this end: it closes it when the holder has ended. */
		close(gone[1]);
		hold(rush, &plan, gone[0]);
	}
	close(gone[0]);
	if (pid > 0 && plan.kill_after >= 0) {
		poll.fd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (ppoll(&poll, 1, &when, NULL) == 0) {
			(void)kill(pid, SIGKILL);
			atomic_fetch_add(&rush->shared->killed, 1);
		}
		close(poll.fd);
	}
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(gone[1]);
	/* Orphans, and those within whose holder was killed: they end by themselves. */
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static _Noreturn void work(struct rush *rush, long number)
{
	rush->random += (uint64_t)number * UINT64_C(0x2545f4914f6cdd1d);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	while (rush->shared->grants < rush->leases)
		run_one(rush);
	_exit(0);
}

/* ---- witnesses ---- */

static void become(uid_t user)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setgroups(0, NULL) < 0 || setresgid(user, user, user) < 0 ||
	    setresuid(user, user, user) < 0)
		_exit(1);
}

static _Noreturn void witness_without(const struct rush *rush)
{
	become(FIRST_USER + USERS);
	while (!rush->shared->is_over)
		for (int64_t gpu = 0; gpu < GPUS; gpu++) {
			look(rush, gpu, false, "the witness without a lease");
			pass(MS / 10);
		}
	_exit(0);
}

static _Noreturn void witness_with(const struct rush *rush, int ready)
{
	struct holder holder = {.rush = rush, .error = gpualloc_error_new()};
	int64_t other = 0;

	become(FIRST_USER);
	if (gpualloc_store_open(NULL, 0, &holder.store, holder.error) < 0 ||
	    !begin(&holder, 1, 0, "7"))
		_exit(1);
	(void)!write(ready, "", 1);
	for (; !rush->shared->is_over; other = (other + 1) % KEPT) {
		look(rush, KEPT, true, "the witness with a lease");
		look(rush, other, false, "the witness with a lease");
		pass(MS / 10);
	}
	_exit(0);
}

/* ---- the program ---- */

static bool locks_are_left(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[4096];
	int fd;
	bool left;

	(void)snprintf(path, sizeof path, "%s/ledger", gpualloc_store_default());
	fd = open(path, O_RDWR | O_CLOEXEC);
	left = fd < 0 || fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;

	if (fd >= 0)
		close(fd);
	return left;
}

static int tell(const struct rush *rush, double seconds)
{
	const struct shared *shared = rush->shared;
	bool left = locks_are_left();

	printf("# %ld leases (%ld whole, %ld shares, %ld within others), %ld holders killed, %ld "
	       "children that outlived theirs, %ld opens; %ld let in without a right, %ld kept out in "
	       "spite of one, %ld failures, locks left: %s; %.1f s\n",
	       shared->grants, shared->whole, shared->shares, shared->within, shared->killed,
	       shared->orphans, shared->opens, shared->let_in, shared->kept_out, shared->failures,
	       left ? "yes" : "no", seconds);
	return shared->let_in || shared->kept_out || shared->failures || left;
}

static double now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool start_witnesses(const struct rush *rush)
{
	int ready[2];
	char byte;
	bool good;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return false;
	if (fork() == 0)
		witness_without(rush);
	if (fork() == 0)
		witness_with(rush, ready[1]);
	close(ready[1]);
	good = read(ready[0], &byte, 1) == 1;
	close(ready[0]);
	return good;
}

int main(int argc, char **argv)
{
	struct rush rush = {0};
	double start = now();
	long at_once;

	if (argc != 5) {
		(void)fprintf(stderr, "rush LEASES SEED AT_ONCE MACHINE\n");
		return 64;
	}
	rush.leases = strtol(argv[1], NULL, 10);
	rush.random = strtoull(argv[2], NULL, 10);
	at_once = strtol(argv[3], NULL, 10);
	rush.machine = argv[4];
	rush.shared = mmap(NULL, sizeof *rush.shared, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (rush.shared == MAP_FAILED || at_once < 1 || at_once > MOST_AT_ONCE ||
	    !start_witnesses(&rush))
		return 2;
	for (long i = 1; i <= at_once; i++)
		if (fork() == 0)
			work(&rush, i);
	for (long i = 0; i < at_once; i++)
		(void)wait(NULL);
	rush.shared->is_over = true;
	while (wait(NULL) > 0)
		;
	return tell(&rush, now() - start);
}
