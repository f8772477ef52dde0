/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spank_gpualloc: what Slurm calls, and in which of its processes.
 *
 *   srun, sbatch, salloc   the option is read; a wrong one ends them before anything is submitted
 *   slurmstepd             the step is prepared as the job's user, before its tasks are forked
 *   the tasks              devices are leased or put in order and the variables set, just before
 * the program starts
 *
 * Every failure happens in a task: a hook that fails in slurmstepd takes the node out of service.
 */
#include "bind.h"
#include "lease.h"
#include "step.h"
#include "variables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

SPANK_PLUGIN(gpualloc, 1)

/* From slurm.h: the step that only adopts processes and starts none. */
enum { EXTERN_STEP = -4 };

/* Slurm's callbacks have no argument for our data: one plugin, one process, one step. */
static struct step step = {.crew = {.place = -1, .bell = {-1, -1}}};

/* ---- the option ---- */

static int read_option(int value, const char *word, int remote)
{
	char sentence[SENTENCE] = "";

	(void)value;
	step.is_asked = true;
	if (asked_read(word, &step.asked, sentence, sizeof sentence) < 0 || *step.unsettled) {
		if (!*sentence)
			memcpy(sentence, step.unsettled, sizeof sentence);
		if (!remote)
			slurm_error("--gpualloc: %s", sentence);
		memcpy(step.trouble, sentence, sizeof sentence);
	}
	return *sentence && !remote ? -1 : 0;
}

static char option_name[] = "gpualloc", option_argument[] = "N[:POLICY[:MEMORY]]",
	    option_usage[] =
		    "N well linked GPUs on each node; policy and memory as in gpualloc run, then "
		    ",share or ,mig=PROFILE; 0 for none";

int slurm_spank_init(spank_t spank, int count, char **words)
{
	struct spank_option option = {.name = option_name,
				      .arginfo = option_argument,
				      .usage = option_usage,
				      .has_arg = 1,
				      .cb = read_option};
	spank_context_t context = spank_context();

	if (settings_read(count, words, &step.settings, step.unsettled, sizeof step.unsettled) <
		    0 &&
	    context == S_CTX_SLURMD)
		slurm_error("gpualloc: %s", step.unsettled);
	if (context == S_CTX_LOCAL || context == S_CTX_ALLOCATOR || context == S_CTX_REMOTE)
		(void)spank_option_register(spank, &option);
	return 0;
}

/*
 * A new job inherits the submitting shell's variables. Submitted from inside a job with GPUs, it
 * would look as if Slurm had given it those GPUs.
 */
int slurm_spank_init_post_opt(spank_t spank, int count, char **words)
{
	spank_context_t context = spank_context();

	(void)spank, (void)count, (void)words;
	if (step.is_asked &&
	    (context == S_CTX_ALLOCATOR || (context == S_CTX_LOCAL && !getenv("SLURM_JOB_ID")))) {
		(void)unsetenv("SLURM_JOB_GPUS");
		(void)unsetenv("SLURM_STEP_GPUS");
	}
	return 0;
}

/* ---- in slurmstepd ---- */

static bool read_variable(spank_t spank, const char *name, char *value, size_t size)
{
	return spank_getenv(spank, name, value, (int)size) == ESPANK_SUCCESS;
}

/*
 * What Slurm says about GPUs: here it names those of the step, in a task those of the task. The
 * job's value counts for the batch script alone; every step inherits it, with GPUs or without.
 */
static bool find_gpus(spank_t spank)
{
	char of_job[sizeof step.gpus];
	bool has_step = read_variable(spank, "SLURM_STEP_GPUS", step.gpus, sizeof step.gpus);
	bool has_job = read_variable(spank, "SLURM_JOB_GPUS", of_job, sizeof of_job);

	if (!has_step)
		(void)snprintf(step.gpus, sizeof step.gpus, "%s",
			       has_job && !step_is_counted(&step) ? of_job : "");
	return has_step || has_job;
}

static bool wants_devices(void)
{
	return step.is_asked && step.asked.count > 0 && !*step.trouble &&
	       step.number != (uint32_t)EXTERN_STEP;
}

/* Programs in the job must be told what the daemon learned from its environment. */
static void settle_settings(struct settings *settings)
{
	if (!settings->store)
		settings->store = secure_getenv("GPUALLOC_STATE_DIR");
	if (!settings->machine)
		settings->machine = secure_getenv("GPUALLOC_MACHINE");
}

static void prepare(spank_t spank)
{
	gpualloc_error *error = gpualloc_error_new();
	uint32_t tasks = 1;
	int result;

	settle_settings(&step.settings);
	(void)spank_get_item(spank, S_JOB_LOCAL_TASK_COUNT, &tasks);
	step.is_bound = step.settings.mode != MODE_LEASE &&
			(find_gpus(spank) || step.settings.mode == MODE_BIND);
	if (step.is_bound)
		result = given_open(step.settings.machine, &step.given, error);
	else
		result = crew_open(&step.crew, step.settings.store, tasks, error);
	if (result < 0)
		(void)snprintf(step.trouble, sizeof step.trouble, "%s%s",
			       *gpualloc_error_message(error) ? gpualloc_error_message(error)
							      : "out of memory or descriptors",
			       gpualloc_error_remedies(error) & GPUALLOC_REMEDY_SET_UP_STORE
				       ? "; `sudo gpualloc setup` makes or repairs it for everybody"
				       : "");
	gpualloc_error_free(error);
}

int slurm_spank_user_init(spank_t spank, int count, char **words)
{
	(void)count, (void)words;
	(void)spank_get_item(spank, S_JOB_ID, &step.job);
	(void)spank_get_item(spank, S_JOB_STEPID, &step.number);
	if (wants_devices())
		prepare(spank);
	return 0;
}

int slurm_spank_task_post_fork(spank_t spank, int count, char **words)
{
	(void)spank, (void)count, (void)words;
	if (step.crew.place >= 0)
		crew_forked(&step.crew);
	return 0;
}

int slurm_spank_task_exit(spank_t spank, int count, char **words)
{
	(void)spank, (void)count, (void)words;
	if (step.crew.place >= 0)
		crew_ended(&step.crew);
	return 0;
}

int slurm_spank_exit(spank_t spank, int count, char **words)
{
	(void)spank, (void)count, (void)words;
	crew_close(&step.crew);
	given_close(&step.given);
	return 0;
}

/* ---- in a task ---- */

static int hide_devices(spank_t spank)
{
	variables_clear(spank);
	(void)variables_set_one(spank, "CUDA_VISIBLE_DEVICES", "");
	(void)variables_set_one(spank, "NVIDIA_VISIBLE_DEVICES", "void");
	return 0;
}

/*
 * Said once per node, because each task would say the same. Slurm heeds what a hook returns only if
 * plugstack.conf says `required`, and then a plugin that cannot be loaded stops everything.
 */
_Noreturn static void fail(int task)
{
	if (task == 0)
		slurm_error("gpualloc: %s", step.trouble);
	_exit(EXIT_FAILURE);
}

int slurm_spank_task_init(spank_t spank, int count, char **words)
{
	int task = 0, result;

	(void)count, (void)words;
	if (!step.is_asked)
		return 0;
	(void)spank_get_item(spank, S_TASK_ID, &task);
	if (*step.trouble)
		fail(task);
	if (step.asked.count == 0 || (step.is_bound && !*step.gpus))
		return hide_devices(spank);
	result = step.is_bound ? bind_enter(spank, &step, task) : lease_enter(spank, &step, task);
	if (result < 0)
		fail(task);
	return 0;
}
