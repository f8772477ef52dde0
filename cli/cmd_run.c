/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc run: leases devices, then becomes the command, or stays its parent. */
#include "agent.h"
#include "bind.h"
#include "choose.h"
#include "container.h"
#include "fence.h"
#include "keeper.h"
#include "launcher.h"
#include "lease_find.h"
#include "leasing.h"
#include "message.h"
#include "notify.h"
#include "open.h"
#include "options.h"
#include "owned.h"
#include "run_options.h"
#include "settle.h"
#include "stores.h"
#include "waiting.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* What run owns until it becomes the command. */
struct job {
	struct chosen chosen; /* only its request is used, or with --ignore-leases all of it */
	gpualloc_store *store;
	gpualloc_lease *lease;
	char *path;
	char *spec; /* for GPUALLOC_MACHINE; NULL without --machine */
	char **environment;
	enum gpualloc_form form;
	bool fenced;
	int64_t limit_ms;
	struct notify notify;
};

static void job_free(struct job *job)
{
	notify_end(&job->notify);
	gpualloc_lease_free(job->lease);
	gpualloc_store_free(job->store);
	chosen_free(&job->chosen);
	free(job->path);
	free(job->spec);
	free(job->environment);
}

/* ---- reading ---- */

static int find_program(const struct call *call, struct job *job)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	int result = gpualloc_program_find(call->operands[0], &job->path, error);

	return result < 0 ? fail_error(result, error) : 0;
}

/* Options of --on say what is different over there; here they would do nothing. */
static int check_is_here(const struct call *call)
{
	static const struct {
		enum option_id id;
		const char *instead;
	} there[] = {{OPTION_CHDIR, "here cd there first"},
		     {OPTION_ENV, "here the command has your whole environment"},
		     {OPTION_KEEP, "here put nohup before gpualloc run"}};

	for (size_t i = 0; i < sizeof there / sizeof *there; i++)
		if (call->value[there[i].id])
			return fail_usage(call->command, "--%s goes with --on HOST; %s",
					  option_info(there[i].id)->name, there[i].instead);
	return 0;
}

static int read_job(const struct call *call, struct job *job)
{
	int result = check_is_here(call);

	if (result == 0)
		result = form_read(call, &job->form);
	if (result == 0)
		result = fence_check(call, &job->form, &job->fenced);
	if (result == 0)
		result = spec_read(call, &job->spec);
	if (result == 0)
		result = limit_read(call, &job->limit_ms);
	if (result == 0)
		result = check_wait(call);
	if (result == 0)
		result = launcher_check(call);
	if (result == 0)
		result = bind_check(call);
	if (result == 0)
		result = find_program(call, job);
	if (result == 0 && call->value[OPTION_CONTAINER])
		result = container_check(call);
	if (result == 0)
		result = request_read(call, &job->chosen);
	return result;
}

/* ---- starting ---- */

static void tell(void *context, enum gpualloc_supervise_event event)
{
	const struct call *call = context;

	if (event == GPUALLOC_SUPERVISE_TIME_LIMIT)
		say("the time limit of %s is up: asking the command to end; it is killed in 10s",
		    call->value[OPTION_TIME_LIMIT]);
	else if (isatty(STDERR_FILENO) && !call->value[OPTION_QUIET])
		say("the command has ended, but processes that it started still run and keep the "
		    "lease (Ctrl-C asks them to end and kills them after 10s, or when you press it "
		    "again)");
}

/* The caller sees what it would have seen from the command itself. */
static int end_as(int status)
{
	if (WIFSIGNALED(status)) {
		die_by(WTERMSIG(status));
		return 128 + WTERMSIG(status);
	}
	return WEXITSTATUS(status);
}

static int not_started(const struct job *job, int result, const gpualloc_error *error)
{
	result = fail_error(result, error);
	notify_ended(&job->notify, W_EXITCODE(result, 0));
	return result;
}

static int supervise(const struct call *call, struct job *job, char *const *environment)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	int status = 0;
	int result =
		gpualloc_program_supervise(job->path, call->operands, environment, job->limit_ms,
					   tell, (void *)(uintptr_t)call, &status, error);

	if (job->lease)
		(void)gpualloc_lease_release(job->lease, NULL);
	if (result < 0)
		return not_started(job, result, error);
	notify_ended(&job->notify, status);
	return end_as(status);
}

static int start_container(const struct call *call, struct job *job, char *const *environment)
{
	ga_cleanup(container_free) struct container container = CONTAINER_NONE;
	int result = container_begin(call, job->path, environment, &container), status;

	if (result) {
		if (job->lease)
			(void)gpualloc_lease_release(job->lease, NULL);
		notify_ended(&job->notify, W_EXITCODE(result, 0));
		return result;
	}
	gpualloc_lease_free(job->lease);
	job->lease = NULL;
	status = container_run(&container);
	notify_ended(&job->notify, status);
	return end_as(status);
}

static int start(const struct call *call, struct job *job, char *const *environment)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	int result;

	if (call->value[OPTION_CONTAINER])
		return start_container(call, job, environment);
	if (call->value[OPTION_SUPERVISE] || call->value[OPTION_TIME_LIMIT])
		return supervise(call, job, environment);
	result = gpualloc_program_become(job->path, call->operands, environment, error);
	if (job->lease)
		(void)gpualloc_lease_release(job->lease, NULL);
	return not_started(job, result, error);
}

/* ---- with a lease and without ---- */

static int run_leased(const struct call *call, struct job *job)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	int fd = -1, result = store_to_lease(call, &job->store);

	if (result == 0)
		result =
			acquire(call, job->store, job->chosen.request, call->operands, &job->lease);
	if (result) {
		if (call->value[OPTION_WAIT])
			notify_gave_up(&job->notify, call->operands);
		return result;
	}
	result = settle(call, job->lease);
	if (result == 0)
		result = bind_to_lease(call, job->lease);
	if (result) {
		(void)gpualloc_lease_release(job->lease, NULL);
		return result;
	}
	result = gpualloc_lease_hand_on(job->lease, &fd, error);
	if (result == 0)
		result = gpualloc_lease_environment(job->lease, fd, job->form, job->spec, environ,
						    &job->environment, error);
	if (result < 0) {
		(void)gpualloc_lease_release(job->lease, NULL);
		return fail_error(result, error);
	}
	if (isatty(STDERR_FILENO) && !call->value[OPTION_QUIET])
		say_lease(job->lease);
	result = job->fenced ? fence_to_lease(call, job->lease) : 0;
	if (result == 0)
		agent_tell_lease(job->lease);
	if (result == 0)
		result = notify_lease(&job->notify, job->lease, call->operands, job->limit_ms);
	return result ? result : start(call, job, job->environment);
}

static int run_without_lease(const struct call *call, struct job *job)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	int result = open_machine(call, &job->chosen.machine);

	if (result == 0)
		result = add_config(call, job->chosen.machine, false);
	if (result)
		return result;
	gpualloc_request_set_alone(job->chosen.request, !call->value[OPTION_SHARE]);
	result = gpualloc_choose(job->chosen.machine, job->chosen.request, &job->chosen.choice,
				 error);
	if (result < 0)
		return fail_error(result, error);
	result = bind_to_choice(call, job->chosen.choice);
	if (result)
		return result;
	result = gpualloc_choice_environment(job->chosen.machine, job->chosen.choice, job->form,
					     job->spec, environ, &job->environment, error);
	if (result < 0)
		return fail_error(result, error);
	if (!call->value[OPTION_QUIET])
		say("note: %s runs without a lease: others may be given the same devices",
		    call->operands[0]);
	store_warn_of_fence(call, NULL);
	result = job->fenced ? fence_to_choice(call, job->chosen.choice) : 0;
	if (result == 0)
		result = notify_choice(&job->notify, job->chosen.choice, call->operands,
				       job->limit_ms);
	return result ? result : start(call, job, job->environment);
}

/* ---- in an existing lease ---- */

static int refuse_choice(const struct call *call)
{
	static const enum option_id choices[] = {
		OPTION_BIND,    OPTION_COUNT, OPTION_EXCLUDE, OPTION_FORM, OPTION_MACHINE,
		OPTION_MEMORY,  OPTION_MIG,   OPTION_MODEL,   OPTION_ONLY, OPTION_POLICY,
		OPTION_REQUIRE, OPTION_SHARE, OPTION_WAIT};

	for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
		if (call->value[choices[i]])
			return fail_usage(call->command,
					  "--in uses all devices of the lease as they are; put "
					  "--%s inside: gpualloc run --in %s gpualloc run --%s ...",
					  option_info(choices[i])->name, call->value[OPTION_IN],
					  option_info(choices[i])->name);
	return 0;
}

/* The lease's variables in this process's environment, which the command then inherits. Nothing
 * else is taken from their sender. */
static int enter(char *variables, int fd)
{
	unsetenv("GPUALLOC_MEMORY");
	for (char *at = variables, *next; *at; at = next) {
		next = at + strlen(at) + 1;
		if (gpualloc_lease_has_variable(at) && putenv(at) != 0)
			return fail_memory();
	}
	if (fd >= 0)
		return leasing_hand_on(fd);
	unsetenv("GPUALLOC_FD");
	say("note: this system does not let a process copy another's descriptors "
	    "(kernel.yama.ptrace_scope), so the command runs on the lease's devices but does not "
	    "keep the lease");
	return 0;
}

static void free_stores(struct lease_stores *stores)
{
	lease_stores_free(stores);
}

/* A hold has a keeper that is asked; a job is not asked. */
static int join(const struct call *call, int *ret_fd, char **ret_variables)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_cleanup(free_stores) struct lease_stores stores = {0};
	struct lease_found found;
	int result = lease_stores_open(call, &stores);

	if (result)
		return result;
	result = lease_find(call, &stores, call->value[OPTION_IN], &found);
	if (result || keeper_join(found.store, found.id, ret_fd, ret_variables))
		return result;
	result = gpualloc_lease_join(found.store, found.id, ret_fd, ret_variables, error);
	return result < 0 ? fail_error(result, error) : 0;
}

static int run_in_lease(const struct call *call, struct job *job)
{
	char *variables;
	int fd, result = refuse_choice(call);

	if (result == 0)
		result = join(call, &fd, &variables);
	if (result)
		return result;
	result = enter(variables, fd);
	if (result == 0 && job->fenced)
		result = fence_to_environment(call);
	if (result == 0)
		agent_tell_joined(call->value[OPTION_IN]);
	if (result == 0)
		notify_joined(&job->notify, call->operands, job->limit_ms);
	if (result == 0)
		result = start(call, job, environ);
	free(variables);
	return result;
}

static int run(const struct call *call)
{
	ga_cleanup(job_free) struct job job = {.notify = NOTIFY_NONE};
	int result = read_job(call, &job);

	if (result == 0)
		result = notify_begin(call, &job.notify);
	if (result)
		return result;
	if (call->value[OPTION_IN])
		return run_in_lease(call, &job);
	return call->value[OPTION_IGNORE_LEASES] ? run_without_lease(call, &job)
						 : run_leased(call, &job);
}

const struct command command_run = {
	.name = "run",
	.sentence = "lease devices, then run a command there",
	.description =
		"Chooses devices as pick does, leases them so that nobody else gets them, sets "
		"CUDA_VISIBLE_DEVICES and becomes the command. The lease lasts as long as a "
		"process of the command keeps the descriptor that it inherits, however it ends. "
		"You get all the devices you asked for, or exit status 75 and who has them. "
		"Options end at the first word that is not one; -- may stand before the command. "
		"With --on all of this happens on another host.",
	.example = "gpualloc run --machine dgx1-volta -n 2 env",
	.operand = "[--] COMMAND...",
	.operands_least = 1,
	.operands_most = SIZE_MAX,
	.complete = COMPLETE_PROGRAM,
	.others_words = true,
	.options = (const enum option_id[]){OPTION_BIND,
					    OPTION_CHDIR,
					    OPTION_CONTAINER,
					    OPTION_COUNT,
					    OPTION_DEADLINE,
					    OPTION_ENV,
					    OPTION_EXCLUDE,
					    OPTION_FENCE,
					    OPTION_FORM,
					    OPTION_HELP,
					    OPTION_IGNORE_ENV,
					    OPTION_IGNORE_LEASES,
					    OPTION_IGNORE_PROCESSES,
					    OPTION_IN,
					    OPTION_JSON,
					    OPTION_KEEP,
					    OPTION_MACHINE,
					    OPTION_MEMORY,
					    OPTION_MIG,
					    OPTION_MIXED,
					    OPTION_MODEL,
					    OPTION_NOTE,
					    OPTION_NOTIFY,
					    OPTION_NOTIFY_BEFORE,
					    OPTION_ON,
					    OPTION_ONLY,
					    OPTION_POLICY,
					    OPTION_PRIVATE,
					    OPTION_QUIET,
					    OPTION_REQUIRE,
					    OPTION_SEED,
					    OPTION_SHARE,
					    OPTION_SUPERVISE,
					    OPTION_TIME_LIMIT,
					    OPTION_WAIT,
					    OPTION_END},
	.gives = true,
	.run = run,
};
