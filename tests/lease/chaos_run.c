/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One process of chaos: it asks for a lease, tells the witness what it got, perhaps lets others
 * lease within, and ends as its plan says. It reports a grant after it has it, and an end before it
 * lets go, so the innocent are never accused.
 */
#include "chaos.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static void pass(int64_t time)
{
	struct timespec left = {.tv_sec = time / 1000000000, .tv_nsec = time % 1000000000};

	while (time > 0 && nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

/* Not raise(): that thinks it is the thread that called chaos_fork(). */
static _Noreturn void die(void)
{
	(void)kill(getpid(), SIGKILL);
	_exit(0); /* the first process of a pid namespace does not die of its own signals */
}

/* Whether the note says that the lease which the environment names has ended. */
static bool is_ignored(const char *note)
{
	return strstr(note, "GPUALLOC_LEASE") && strstr(note, "ignored");
}

/* within 0: in no other lease. */
static void tell_grant(const struct chaos *chaos, unsigned long id, unsigned long within,
		       const gpualloc_lease *lease, int64_t start, bool waits)
{
	int64_t time = chaos_now();
	char devices[2048] = "";
	size_t length = 0;

	for (size_t i = 0; i < gpualloc_lease_device_count(lease); i++)
		length += (size_t)snprintf(devices + length, sizeof devices - length, "%s%s",
					   i ? "," : "",
					   gpualloc_device_uuid(gpualloc_lease_device(lease, i)));
	for (size_t i = 0; gpualloc_lease_note(lease, i); i++)
		if (is_ignored(gpualloc_lease_note(lease, i)))
			within = 0;
	chaos_tell(chaos, 'B', id, time, "%lld %d %lld %lu %s", (long long)start, waits,
		   (long long)gpualloc_lease_memory(lease), within, devices);
	atomic_fetch_add(&chaos->shared->grants, 1);
	for (size_t i = 0; gpualloc_lease_note(lease, i); i++)
		if (!is_ignored(gpualloc_lease_note(lease, i)))
			chaos_tell(chaos, 'N', id, time, "%s", gpualloc_lease_note(lease, i));
}

static void tell_failure(const struct chaos *chaos, unsigned long id, int status, bool is_allowed,
			 const gpualloc_error *error)
{
	if (status == GPUALLOC_EBUSY || status == GPUALLOC_ETIMEOUT || is_allowed)
		chaos_tell(chaos, 'R', id, chaos_now(), "%d", status);
	else
		chaos_tell(chaos, 'X', id, chaos_now(), "acquire: %d %s", status,
			   gpualloc_error_message(error));
}

struct asked {
	enum form form;
	bool mig;
	int64_t count, memory, wait_ms;
};

static int acquire(const struct chaos *chaos, const struct asked *asked, gpualloc_lease **ret_lease,
		   gpualloc_error *error)
{
	gpualloc_request *request = gpualloc_request_new();
	gpualloc_lease_wish *wish = gpualloc_lease_wish_new();
	int status;

	gpualloc_request_set_count(request, asked->count);
	if (asked->memory)
		gpualloc_request_set_memory(request, asked->memory, 1);
	if (asked->mig)
		(void)gpualloc_request_set_mig(request, NULL);
	(void)gpualloc_lease_wish_set_machine(wish, chaos->machines[asked->form], 60000);
	gpualloc_lease_wish_set_wait(wish, asked->wait_ms, NULL, NULL);
	status = gpualloc_lease_acquire(chaos->store, request, wish, ret_lease, error);
	gpualloc_lease_wish_free(wish);
	gpualloc_request_free(request);
	return status;
}

/* ---- within a lease ---- */

static void let_go(const struct chaos *chaos, unsigned long outer, gpualloc_lease *lease)
{
	chaos_tell(chaos, 'G', outer, chaos_now(), "-");
	gpualloc_lease_free(lease);
}

/*
 * The machine changes, so the outer lease's devices may not be there; and without its descriptor it
 * may have ended.
 */
static bool may_fail_within(const struct within *within, int status)
{
	return status == GPUALLOC_EIMPOSSIBLE || (within->by_name && status == GPUALLOC_EPERM);
}

static _Noreturn void run_within(const struct chaos *chaos, const struct plan *plan, size_t which,
				 gpualloc_lease *outer)
{
	const struct within *within = &plan->within[which];
	unsigned long id = plan->id + 1 + which;
	gpualloc_error *error = gpualloc_error_new();
	struct asked asked = {plan->form, plan->mig, within->count, within->memory,
			      within->wait_ms};
	gpualloc_lease *lease = NULL;
	int64_t start = chaos_now();
	int status;

	if (within->by_name)
		let_go(chaos, plan->id, outer);
	status = acquire(chaos, &asked, &lease, error);
	if (status == 0)
		tell_grant(chaos, id, plan->id, lease, start, within->wait_ms != 0);
	else
		tell_failure(chaos, id, status, may_fail_within(within, status), error);
	if (within->outlives && !within->by_name)
		let_go(chaos, plan->id, outer);
	pass(within->hold);
	if (!within->outlives && !within->by_name)
		chaos_tell(chaos, 'G', plan->id, chaos_now(), "-");
	if (status == 0)
		chaos_tell(chaos, within->dies ? 'K' : 'E', id, chaos_now(), "-");
	if (within->dies)
		die();
	_exit(0);
}

static void start_within(const struct chaos *chaos, const struct plan *plan, gpualloc_lease *lease,
			 gpualloc_error *error)
{
	char number[16];
	int fd;

	if (plan->within_count == 0)
		return;
	if (gpualloc_lease_hand_on(lease, &fd, error) < 0) {
		chaos_tell(chaos, 'X', plan->id, chaos_now(), "hand on: %s",
			   gpualloc_error_message(error));
		return;
	}
	(void)snprintf(number, sizeof number, "%d", fd);
	(void)setenv("GPUALLOC_FD", number, 1);
	(void)setenv("GPUALLOC_LEASE", gpualloc_lease_id(lease), 1);
	for (size_t i = 0; i < plan->within_count; i++)
		if (fork() == 0)
			run_within(chaos, plan, i, lease);
}

/* ---- one runner ---- */

static _Noreturn void end(const struct chaos *chaos, const struct plan *plan, gpualloc_lease *lease,
			  gpualloc_error *error)
{
	/* A release ends it for everybody who has it, including those inside. */
	bool releases = plan->ending == RELEASES && plan->within_count == 0;

	start_within(chaos, plan, lease, error);
	pass(plan->hold);
	if (plan->ending == LEAVES_CHILD && fork() == 0) {
		pass(plan->child_hold);
		chaos_tell(chaos, 'G', plan->id, chaos_now(), "-");
		_exit(0);
	}
	chaos_tell(chaos, plan->ending == DIES ? 'K' : 'E', plan->id, chaos_now(), "-");
	if (plan->ending == DIES)
		die();
	if (releases && gpualloc_lease_release(lease, error) < 0)
		chaos_tell(chaos, 'X', plan->id, chaos_now(), "release: %s",
			   gpualloc_error_message(error));
	if (plan->ending == RELEASES || plan->ending == FREES)
		gpualloc_lease_free(lease);
	_exit(0);
}

static _Noreturn void run_setup(const struct chaos *chaos, const struct plan *plan)
{
	gpualloc_error *error = gpualloc_error_new();
	int status = plan->kind == CHECKS ? gpualloc_store_check(chaos->store_path, error)
					  : gpualloc_store_setup(chaos->store_path, error);

	if (status < 0)
		chaos_tell(chaos, 'X', plan->id, chaos_now(), "setup%s: %s",
			   plan->kind == CHECKS ? " --check" : "", gpualloc_error_message(error));
	_exit(0);
}

void chaos_run(const struct chaos *chaos, const struct plan *plan)
{
	/* Six GPUs are never cut into instances. */
	enum { ALWAYS_THERE = 6 };
	struct asked asked = {plan->form, plan->mig, plan->count, plan->memory, plan->wait_ms};
	gpualloc_error *error = gpualloc_error_new();
	gpualloc_lease *lease = NULL;
	int64_t start = chaos_now();
	int status;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (plan->kind != LEASES)
		run_setup(chaos, plan);
	if (plan->is_apart && chaos->has_apart)
		chaos_tell(chaos, 'P', plan->id, start, "-");
	status = acquire(chaos, &asked, &lease, error);
	if (status == 0) {
		tell_grant(chaos, plan->id, 0, lease, start, plan->wait_ms != 0);
		end(chaos, plan, lease, error);
	}
	tell_failure(chaos, plan->id, status,
		     status == GPUALLOC_EIMPOSSIBLE && !plan->mig && plan->count > ALWAYS_THERE,
		     error);
	_exit(0);
}
