/* SPDX-License-Identifier: Apache-2.0 */
/* The table of claims, and the front; see dra.h. */
#include "dra.h"

#include "apiserver/client.h"
#include "clock.h"
#include "error.h"
#include "operation.h"
#include "owned.h"
#include "slices/publisher.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

/* GET_MS: the kubelet waits for 45 s in all. LATELY_MS: several looks at the folder. */
enum { GET_MS = 10000, LATELY_MS = 10000 };

/* ---- the table ---- */

struct prepared_claim *dra_find(const struct dra *dra, const char *uid)
{
	for (struct prepared_claim *claim = dra->claims; claim; claim = claim->next)
		if (strcmp(claim->uid, uid) == 0)
			return claim;
	return NULL;
}

struct prepared_claim *dra_add(struct dra *dra, const char *uid)
{
	struct prepared_claim *claim = calloc(1, sizeof *claim);

	if (!claim)
		return NULL;
	(void)snprintf(claim->uid, sizeof claim->uid, "%s", uid);
	claim->next = dra->claims;
	dra->claims = claim;
	return claim;
}

void dra_drop(struct dra *dra, struct prepared_claim *claim)
{
	struct prepared_claim **place = &dra->claims;

	while (*place && *place != claim)
		place = &(*place)->next;
	if (*place)
		*place = claim->next;
	claim_units_free(&claim->units);
	free(claim);
}

/* ---- the folder ---- */

static void adopt(void *context, const char *uid)
{
	struct dra *dra = context;
	struct agent *agent = dra->agent;
	auto_error gpualloc_error *error = NULL;
	struct prepared_claim *claim;
	struct claim_units units;

	if (dra_find(dra, uid) || operations_have(dra, uid))
		return;
	error = gpualloc_error_new();
	claim = dra_add(dra, uid);
	if (!claim)
		return;
	/* One that is not understood stays in the table, so that it is told once. */
	claim->is_prepared = true;
	if (claim_file_read(agent->settings, uid, &units, error) == 0)
		claim->units = units;
	else
		log_say(&agent->log, LOG_LEVEL_WARNING, "%s; what this claim has is not leased",
			gpualloc_error_message(error));
}

/* A file says nothing of numbers, and the driver may count differently by now. */
static void number_units(const struct inventory *inventory, struct claim_units *units)
{
	for (size_t i = 0; i < units->count; i++) {
		const struct unit *unit = inventory_find(inventory, units->list[i].uuid);

		if (!unit)
			continue;
		units->list[i].minor = unit->minor;
		units->list[i].gi = unit->gi;
		units->list[i].ci = unit->ci;
	}
}

/*
 * Another agent, at an update, may have unprepared it, even if it was killed since: the kubelet
 * will not ask again. If there was none somebody took the file away, and a container of the pod
 * could not start again without it.
 */
static void miss(struct dra *dra, struct prepared_claim *claim)
{
	struct agent *agent = dra->agent;
	auto_error gpualloc_error *error = gpualloc_error_new();

	if ((dra->shared_at && ga_clock_ms() - dra->shared_at < LATELY_MS) ||
	    claim->units.count == 0) {
		dra_drop(dra, claim);
		return;
	}
	number_units(&agent->inventory, &claim->units);
	if (claim_file_write(agent->settings, claim->uid, &claim->units,
			     gpualloc_machine_driver(agent->inventory.machine), error) == 0)
		log_say(&agent->log, LOG_LEVEL_WARNING,
			"the CDI file of claim %s was gone and is there again", claim->uid);
}

static void follow_folder(struct dra *dra)
{
	struct prepared_claim *next;

	claim_file_each(dra->agent->settings, adopt, dra);
	for (struct prepared_claim *claim = dra->claims; claim; claim = next) {
		next = claim->next;
		if (claim->is_prepared && claim->pending == 0 &&
		    !operations_have(dra, claim->uid) &&
		    !claim_file_is_there(dra->agent->settings, claim->uid))
			miss(dra, claim);
	}
}

/* ---- the front ---- */

#define SERVICE(version) "/k8s.io.kubelet.pkg.apis.dra." version ".DRAPlugin/"

static const struct grpc_method methods[] = {
	{SERVICE("v1") "NodePrepareResources", prepare_called, operations_ended},
	{SERVICE("v1") "NodeUnprepareResources", unprepare_called, operations_ended},
	{SERVICE("v1beta1") "NodePrepareResources", prepare_called, operations_ended},
	{SERVICE("v1beta1") "NodeUnprepareResources", unprepare_called, operations_ended},
	{"/v1alpha1.DRAResourceHealth/NodeWatchResources", health_watch_called, health_watch_ended},
};

static const char *folder(const struct settings *settings)
{
	return settings->registry_dir;
}

static const char *note(const struct settings *settings)
{
	return settings->driver;
}

static void labels_known(void *context)
{
	struct dra *dra = context;

	agent_publish(dra->agent);
}

/* A claim does not wait for slices to be written, so each has its own. */
static int open_api(struct dra *dra, gpualloc_error *error)
{
	struct agent *agent = dra->agent;
	struct api_client *client = NULL;
	int result = api_client_open(agent->settings->kubeconfig, GET_MS, &dra->api, error);

	if (result == 0)
		result = worker_start(&dra->gets, &agent->loop, error);
	if (result == 0)
		result = api_client_open(agent->settings->kubeconfig, GET_MS, &client, error);
	return result < 0 ? result
			  : publisher_new(&agent->loop, agent->settings, &agent->log, client,
					  &agent->inventory, labels_known, dra, &dra->publisher,
					  error);
}

/* A kubelet that starts removes slices. */
static void look_at_slices(void *context)
{
	struct dra *dra = context;

	publisher_check(dra->publisher);
}

static int begin(struct agent *agent, gpualloc_error *error)
{
	struct dra *dra = calloc(1, sizeof *dra);
	int result;

	if (!dra)
		return ga_error_memory(error);
	dra->agent = agent;
	agent->dra = dra;
	result = open_api(dra, error);
	if (result < 0)
		return result;
	claim_file_each(agent->settings, adopt, dra);
	agent->is_known = true;
	dra->registration = (struct registration){.agent = agent,
						  .methods = methods,
						  .method_count = sizeof methods / sizeof *methods,
						  .registered = look_at_slices,
						  .context = dra};
	registration_open(&dra->registration);
	return 0;
}

static void publish(struct agent *agent)
{
	publisher_update(agent->dra->publisher, agent->snapshot);
	health_update(agent->dra);
	operations_continue(agent->dra);
}

static int units(const struct agent *agent, struct units_wanted *wanted)
{
	for (const struct prepared_claim *claim = agent->dra->claims; claim; claim = claim->next)
		for (size_t i = 0; i < claim->units.count; i++) {
			const struct claim_unit *unit = &claim->units.list[i];

			if (unit->is_admin)
				continue;
			if (units_wanted_add(wanted, unit->uuid, unit->is_mig) < 0)
				return GPUALLOC_ENOMEM;
			/* No two claims have it, so it is the last. */
			wanted->list[wanted->count - 1].is_being_leased = !claim->is_prepared;
		}
	return 0;
}

static void check(struct agent *agent, bool kubelet_is_new)
{
	(void)kubelet_is_new;
	if (registration_is_shared(&agent->dra->registration))
		agent->dra->shared_at = ga_clock_ms();
	follow_folder(agent->dra);
	registration_check(&agent->dra->registration);
	operations_continue(agent->dra);
	(void)malloc_trim(0);
}

/* The workers may still be at work, so the rest stays. */
static void end(struct agent *agent)
{
	if (agent->dra)
		registration_close(&agent->dra->registration);
}

const struct agent_front dra_front = {.folder = folder,
				      .note = note,
				      .begin = begin,
				      .publish = publish,
				      .units = units,
				      .check = check,
				      .end = end};
