/* SPDX-License-Identifier: Apache-2.0 */
/* The worker that asks ahead; see foresight.h. */
#include "foresight.h"

#include "agent.h"
#include "clock.h"

#include <stdlib.h>

/* Few pods ask for more, and a large machine should not keep a core busy. */
enum { SIZES = 16 };

struct looking {
	struct job job;
	struct agent *agent;
	gpualloc_machine *machine; /* the inventory's, or ours if that has another by now */
	struct gpu_set free;
	struct answer answers[SIZES];
	size_t count;
};

static void work(struct job *job)
{
	struct looking *looking = (struct looking *)job;
	size_t free_count = gpu_set_count(&looking->free);

	for (size_t size = 1; size <= SIZES && size <= free_count; size++) {
		struct answer *answer = &looking->answers[looking->count];

		*answer = (struct answer){.offered = looking->free, .wanted = size};
		if (answer_ask(answer, looking->machine, looking->agent->policy) == 0)
			looking->count++;
	}
}

static void worked(struct job *job)
{
	struct looking *looking = (struct looking *)job;
	struct agent *agent = looking->agent;

	agent->foresight.is_working = false;
	if (looking->machine == agent->inventory.machine)
		for (size_t i = 0; i < looking->count; i++)
			answers_add(&agent->foresight.answers, &looking->answers[i]);
	else
		gpualloc_machine_free(looking->machine);
	free(looking);
	foresight_look(agent);
}

/* What the kubelet will offer, as far as we know. */
static struct gpu_set find_free(struct agent *agent)
{
	struct gpu_set set = {0};
	int64_t now = ga_clock_ms();

	for (size_t i = 0; i < agent->inventory.count; i++) {
		struct unit *unit = &agent->inventory.units[i];

		if (unit->instance < 0 && unit->number >= 0 && unit->number < ANSWER_GPUS &&
		    !unit->is_ours &&
		    unit_is_healthy(unit, &agent->inventory, agent->settings, now))
			gpu_set_add(&set, (size_t)unit->number);
	}
	return set;
}

void foresight_look(struct agent *agent)
{
	struct foresight *foresight = &agent->foresight;
	struct gpu_set set;
	struct looking *looking;

	if (foresight->is_working || !agent->inventory.machine || agent->settings->replicas > 1)
		return;
	set = find_free(agent);
	if (foresight->is_current && gpu_set_same(&set, &foresight->free))
		return;
	looking = calloc(1, sizeof *looking);
	if (!looking)
		return;
	looking->job = (struct job){.work = work, .done = worked};
	looking->agent = agent;
	looking->machine = agent->inventory.machine;
	looking->free = foresight->free = set;
	foresight->is_current = foresight->is_working = true;
	worker_post(&foresight->worker, &looking->job);
}

void foresight_forget(struct agent *agent)
{
	answers_forget(&agent->foresight.answers);
	/* It is freed when the work is done. */
	if (agent->foresight.is_working && agent->foresight.is_current)
		agent->inventory.machine = NULL;
	agent->foresight.is_current = false;
}
