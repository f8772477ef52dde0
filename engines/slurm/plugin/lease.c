/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lease mode, in the tasks, each of which is the user's own process by then. The first leases for
 * all, so the lease belongs to the user and its record names a process of the job.
 */
#include "lease.h"

#include "buffer.h"
#include "owned.h"
#include "variables.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* As in the library: shells overwrite low numbers, and at exit the highest is closed first. */
enum { HIGH = 512, VALUE_MOST = 256 };

static void add(struct ga_buffer *text, const char *entry)
{
	ga_buffer_append(text, entry, strlen(entry) + 1);
}

/* ---- acquiring ---- */

/*
 * The library looks in the environment for a lease around us. Our environment is the daemon's, so
 * we take it from the job's, and only if that lease belongs to this very job: sbatch called inside
 * a lease passes the lease's variables to a job that has nothing to do with it.
 */
static void look_inside(spank_t spank, const struct step *step)
{
	char job[VALUE_MOST], lease[VALUE_MOST], own[32];

	(void)unsetenv("GPUALLOC_FD");
	(void)unsetenv("GPUALLOC_LEASE");
	(void)snprintf(own, sizeof own, "%u", step->job);
	if (spank_getenv(spank, VARIABLE_JOB, job, sizeof job) == ESPANK_SUCCESS &&
	    strcmp(job, own) == 0 &&
	    spank_getenv(spank, "GPUALLOC_LEASE", lease, sizeof lease) == ESPANK_SUCCESS)
		(void)setenv("GPUALLOC_LEASE", lease, 1);
}

static int tell_of_waiting(void *context, size_t place, const char *sentence)
{
	bool *is_told = context;

	if (!*is_told)
		slurm_spank_log("gpualloc: waiting for devices, number %zu in the queue: %s", place,
				sentence);
	*is_told = true;
	return 0;
}

static int fill_wish(spank_t spank, const struct step *step, bool *is_told,
		     gpualloc_lease_wish *wish)
{
	char command[VALUE_MOST], note[VALUE_MOST];
	int result;

	if (!wish)
		return GPUALLOC_ENOMEM;
	step_name(spank, step, command, note, sizeof note);
	gpualloc_lease_wish_set_place(wish, step->crew.place);
	gpualloc_lease_wish_set_wait(wish, step->settings.wait_ms, tell_of_waiting, is_told);
	result = gpualloc_lease_wish_set_machine(wish, step->settings.machine, 0);
	if (result == 0)
		result = gpualloc_lease_wish_set_command(wish, command);
	return result < 0 ? result : gpualloc_lease_wish_set_note(wish, note);
}

static int acquire(spank_t spank, const struct step *step, gpualloc_lease **ret_lease,
		   gpualloc_error *error)
{
	auto_store gpualloc_store *store = NULL;
	auto_policy gpualloc_policy *policy = NULL;
	auto_request gpualloc_request *request = NULL;
	auto_wish gpualloc_lease_wish *wish = gpualloc_lease_wish_new();
	bool is_told = false;
	int result = fill_wish(spank, step, &is_told, wish);

	if (result == 0)
		result = asked_request(&step->asked, &request, &policy, error);
	if (result == 0)
		result = gpualloc_store_open(step->settings.store, 0, &store, error);
	return result < 0 ? result : gpualloc_lease_acquire(store, request, wish, ret_lease, error);
}

static bool write_variables(const struct step *step, const gpualloc_lease *lease,
			    struct ga_buffer *text, gpualloc_error *error)
{
	static char *const nothing[] = {NULL};
	ga_auto_free char **environment = NULL;
	char entry[VALUE_MOST + 4096];

	if (gpualloc_lease_environment(lease, -1, GPUALLOC_FORM_DEFAULT, step->settings.machine,
				       nothing, &environment, error) < 0)
		return false;
	for (size_t i = 0; environment[i]; i++)
		add(text, environment[i]);
	(void)snprintf(entry, sizeof entry, VARIABLE_JOB "=%u", step->job);
	add(text, entry);
	/* Programs inside the job use the same store. */
	(void)snprintf(entry, sizeof entry, "GPUALLOC_STATE_DIR=%s",
		       step->settings.store ? step->settings.store : "");
	if (step->settings.store)
		add(text, entry);
	return !text->failed;
}

/* ---- the tasks ---- */

static void refuse(struct step *step, const char *sentence)
{
	(void)snprintf(step->trouble, sizeof step->trouble, "%s",
		       *sentence ? sentence : "out of memory");
}

/* The lease object is not freed: that would close the lease before the program starts. */
static bool take(spank_t spank, struct step *step, struct ga_buffer *text)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	gpualloc_lease *lease = NULL;
	const char *note;

	look_inside(spank, step);
	if (acquire(spank, step, &lease, error) < 0) {
		refuse(step, gpualloc_error_message(error));
		return false;
	}
	for (size_t i = 0; (note = gpualloc_lease_note(lease, i)); i++)
		slurm_info("gpualloc: %s", note);
	if (!write_variables(step, lease, text, error))
		refuse(step, "the task's variables could not be made");
	else if (gpualloc_lease_settle(lease, step->settings.machine, 0, error) < 0)
		refuse(step, gpualloc_error_message(error));
	else
		return true;
	(void)gpualloc_lease_release(lease, NULL);
	return false;
}

static bool hear(struct step *step, struct ga_buffer *text)
{
	bool is_refusal = true;
	size_t size = 0;
	const char *told = crew_hear(&step->crew, &size, &is_refusal);

	if (told && !is_refusal) {
		ga_buffer_append(text, told, size);
		if (!text->failed)
			return true;
		told = "";
	}
	refuse(step, told ? told : "the step's first task ended before it got devices");
	return false;
}

/* Every task's program has the lease, at its own descriptor number. */
static bool pass_on(spank_t spank, const struct step *step)
{
	int fd = fcntl(step->crew.place, F_DUPFD, HIGH);
	char number[16];

	if (fd < 0)
		fd = fcntl(step->crew.place, F_DUPFD, STDERR_FILENO + 1);
	(void)snprintf(number, sizeof number, "%d", fd);
	return fd >= 0 && variables_set_one(spank, "GPUALLOC_FD", number);
}

/*
 * From here on it may wait, and scancel must be able to end it: proctrack/linuxproc spares every
 * process that is called slurmstepd. The program gets its own name when it starts.
 */
int lease_enter(spank_t spank, struct step *step, int task)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(CREW_TEXT);
	bool has;

	(void)prctl(PR_SET_NAME, "gpualloc");
	has = task == 0 ? take(spank, step, &text) : hear(step, &text);
	if (has) {
		variables_clear(spank);
		has = variables_set(spank, text.data, text.size) && pass_on(spank, step);
		if (!has)
			refuse(step, "the task's variables could not be set");
	}
	if (task == 0 && has)
		crew_tell(&step->crew, text.data, text.size, false);
	else if (task == 0)
		crew_tell(&step->crew, step->trouble, strlen(step->trouble) + 1, true);
	return has ? 0 : -1;
}
