/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bind mode, in each task: Slurm has chosen the GPUs, and only their order is left to decide. A
 * task's own come first; the others of its step stay visible after them, because a GPU that cannot
 * be seen cannot be reached over NVLink. All tasks come to the same result without talking.
 */
#include "bind.h"

#include "owned.h"
#include "owner.h"
#include "variables.h"

#include <stdio.h>
#include <string.h>

enum { LIST_MOST = 1 << 16, NAME_MOST = 64, PATH_MOST = 512 };

/* What a task has been given, how many of those come first, and what its numbers count. */
struct share {
	struct places all;
	struct places reachable;
	bool is_fenced;
	const gpualloc_device *devices[GIVEN_MOST]; /* in the order the program sees them */
	size_t own;
};

static int refuse(struct step *step, const char *sentence)
{
	(void)snprintf(step->trouble, sizeof step->trouble, "%s", sentence);
	return -1;
}

/* ---- what Slurm gave ---- */

static bool read_variable(spank_t spank, const char *name, size_t limit, struct places *ret_places)
{
	ga_auto_free char *list = malloc(LIST_MOST);

	return list && spank_getenv(spank, name, list, LIST_MOST) == ESPANK_SUCCESS &&
	       given_read(list, limit, ret_places);
}

/* The probe's bit says that the administrator's fence stands. */
static int refuse_all(struct step *step)
{
	char probe[PATH_MOST];

	(void)snprintf(probe, sizeof probe, "%s%s", step->settings.root, PROBE_PATH);
	if (!ga_is_set_gid_of_root(probe))
		return refuse(step, "this task can open none of the machine's GPUs");
	return refuse(step, "this task can open none of the machine's GPUs: a fence stands around "
			    "them (`gpualloc setup --fence`) that only leases open, and in bind "
			    "mode there is none; lease mode has them (mode=lease in "
			    "plugstack.conf, and GPUs that Slurm does not give)");
}

static int find_all(struct step *step, struct share *share)
{
	given_reachable(&step->given, step->settings.root, &share->reachable, &share->is_fenced);
	if (share->is_fenced)
		share->all = share->reachable;
	else if (!given_read(step->gpus, step->given.count, &share->all))
		return refuse(step, "the GPUs that Slurm names are not the GPUs of this machine; "
				    "`gpualloc slurm check` compares gres.conf with it");
	if (share->all.count == 0)
		return refuse_all(step);
	if ((size_t)step->asked.count <= share->all.count)
		return 0;
	(void)snprintf(step->trouble, sizeof step->trouble,
		       "--gpualloc asks for %lld, but Slurm gave %zu; ask Slurm for the same "
		       "number (--gpus=%lld)",
		       (long long)step->asked.count, share->all.count,
		       (long long)step->asked.count);
	return -1;
}

/* If Slurm has bound the task to some of its step's GPUs, those are its own. */
static bool is_bound(spank_t spank, const struct step *step, const struct share *share,
		     struct places *ret_own)
{
	size_t limit = share->is_fenced ? share->all.count : step->given.count;

	if (!read_variable(spank, "CUDA_VISIBLE_DEVICES", limit, ret_own))
		return false;
	for (size_t i = 0; share->is_fenced && i < ret_own->count; i++)
		ret_own->at[i] = share->all.at[ret_own->at[i]];
	return ret_own->count < share->all.count;
}

/* ---- whose is whose ---- */

static void remove_place(struct places *places, size_t unit)
{
	size_t kept = 0;

	for (size_t i = 0; i < places->count; i++)
		if (places->at[i] != unit)
			places->at[kept++] = places->at[i];
	places->count = kept;
}

/* The best of the GPUs that are left, as if there were no others; without links the first. */
static int choose(const struct step *step, const gpualloc_policy *policy, const struct places *left,
		  struct places *ret_own, gpualloc_error *error)
{
	auto_choice gpualloc_choice *choice = NULL;
	auto_question gpualloc_question *question = NULL;
	const gpualloc_machine *machine = step->given.machine;
	size_t count = (size_t)step->asked.count, numbers[GIVEN_MOST];
	int result;

	ret_own->count = count;
	memcpy(ret_own->at, left->at, count * sizeof *left->at);
	if (step->given.has_mig)
		return 0;
	for (size_t i = 0; i < left->count; i++)
		numbers[i] =
			(size_t)gpualloc_device_number(machine, step->given.units[left->at[i]]);
	result = gpualloc_question_new(machine, &question, error);
	if (result == 0)
		result = gpualloc_question_set_candidates(question, numbers, left->count, error);
	gpualloc_question_set_count(question, count);
	if (result == 0)
		result = gpualloc_choose_among(question, policy, &choice, error);
	for (size_t i = 0; result == 0 && i < count; i++)
		for (size_t j = 0; j < left->count; j++)
			if (step->given.units[left->at[j]] == gpualloc_choice_device(choice, i))
				ret_own->at[i] = left->at[j];
	return result;
}

/* Task after task takes its own; when too few are left, the next starts again with all. */
static int choose_own(const struct step *step, const struct share *share, int task,
		      struct places *ret_own, gpualloc_error *error)
{
	size_t count = (size_t)step->asked.count, sets = share->all.count / count;
	struct places left = share->all;
	gpualloc_policy *policy = NULL;
	int result =
		*step->asked.policy ? gpualloc_policy_open(step->asked.policy, &policy, error) : 0;

	for (size_t turn = (size_t)task % sets; result == 0; turn--) {
		result = choose(step, policy, &left, ret_own, error);
		for (size_t i = 0; i < ret_own->count; i++)
			remove_place(&left, ret_own->at[i]);
		if (turn == 0)
			break;
	}
	gpualloc_policy_free(policy);
	return result;
}

static int order(const struct step *step, struct share *share, const struct places *own,
		 gpualloc_error *error)
{
	const gpualloc_machine *machine = step->given.machine;
	struct places rest = share->all;
	int result = 0;

	share->own = own->count;
	for (size_t i = 0; i < own->count; i++) {
		remove_place(&rest, own->at[i]);
		share->devices[i] = step->given.units[own->at[i]];
	}
	for (size_t i = 0; i < rest.count; i++)
		share->devices[own->count + i] = step->given.units[rest.at[i]];
	if (step->given.has_mig)
		return 0;
	result = gpualloc_devices_order(machine, share->devices, own->count, error);
	if (result == 0)
		result = gpualloc_devices_order(machine, share->devices + own->count, rest.count,
						error);
	return result;
}

/* ---- telling the program ---- */

/* As the driver counts for this task: only the GPUs that it can open. */
static size_t number_for_task(const struct step *step, const struct share *share,
			      const gpualloc_device *device)
{
	size_t number = 0;

	while (number < share->reachable.count &&
	       step->given.units[share->reachable.at[number]] != device)
		number++;
	return number;
}

static bool write_list(const struct step *step, const struct share *share, bool as_numbers,
		       char *list)
{
	size_t used = 0;

	*list = '\0';
	for (size_t i = 0; i < share->all.count; i++) {
		const gpualloc_device *device = share->devices[i];
		const char *uuid = gpualloc_device_uuid(device);
		char number[NAME_MOST];

		(void)snprintf(number, sizeof number, "%zu", number_for_task(step, share, device));
		if (!as_numbers && !uuid)
			return false;
		used += (size_t)snprintf(list + used, LIST_MOST - used, "%s%s", i ? "," : "",
					 as_numbers ? number : uuid);
		if (used >= LIST_MOST)
			return false;
	}
	return true;
}

static int set_variables(spank_t spank, struct step *step, const struct share *share)
{
	ga_auto_free char *list = malloc(LIST_MOST);
	bool as_numbers = step->given.has_numbers && !step->given.has_mig;
	bool is_set = list && write_list(step, share, as_numbers, list);

	variables_clear(spank);
	is_set = is_set && variables_set_one(spank, "CUDA_DEVICE_ORDER", "PCI_BUS_ID") &&
		 variables_set_one(spank, "CUDA_VISIBLE_DEVICES", list);
	if (is_set && write_list(step, share, false, list))
		is_set = variables_set_one(spank, "NVIDIA_VISIBLE_DEVICES", list) &&
			 variables_set_one(spank, "GPUALLOC_DEVICES", list);
	if (is_set && step->settings.machine)
		is_set = variables_set_one(spank, "GPUALLOC_MACHINE", step->settings.machine);
	return is_set ? 0 : refuse(step, "the task's variables could not be set");
}

int bind_enter(spank_t spank, struct step *step, int task)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_auto_free struct share *share = calloc(1, sizeof *share);
	struct places own = {.count = 0};
	int result = 0;

	if (!share)
		return refuse(step, "out of memory");
	if (step->asked.memory >= 0 || step->asked.mig)
		return refuse(step, "memory, share and mig are for nodes on which gpualloc leases; "
				    "here Slurm has already chosen the GPUs");
	if (find_all(step, share) < 0)
		return -1;
	if (!is_bound(spank, step, share, &own))
		result = choose_own(step, share, task, &own, error);
	if (result == 0)
		result = order(step, share, &own, error);
	return result < 0 ? refuse(step, gpualloc_error_message(error))
			  : set_variables(spank, step, share);
}
