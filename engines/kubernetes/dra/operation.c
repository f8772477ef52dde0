/* SPDX-License-Identifier: Apache-2.0 */
/* The way of a claim; see operation.h. */
#include "operation.h"

#include "allocation.h"
#include "answer.h"
#include "apiserver/client.h"
#include "clock.h"
#include "dra.pb-c.h"
#include "error.h"
#include "messages.h"
#include "owned.h"
#include "slices/names.h"
#include "slices/publisher.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

#define UNPREPARED "it was unprepared meanwhile"

enum {
	CLAIMS_MOST = 256, /* of a call */
	OPERATIONS_MOST = 1024,
	MACHINE_MS = 20000, /* the kubelet waits for 45 s */
	PATH_SIZE = 1024
};

/* ---- lists ---- */

bool operations_have(const struct dra *dra, const char *uid)
{
	for (const struct operation *one = dra->operations; one; one = one->next)
		if (strcmp(one->uid, uid) == 0)
			return true;
	return false;
}

static void take_out(struct operation *operation)
{
	struct operation **place = &operation->dra->operations;

	while (*place && *place != operation)
		place = &(*place)->next;
	if (*place)
		*place = operation->next;
	operation->dra->operation_count--;
}

/* ---- the end of one ---- */

static void end(struct operation *operation)
{
	take_out(operation);
	answer_when_complete(operation->answer);
}

static void fail(struct operation *operation, const char *why)
{
	const struct log *log = &operation->dra->agent->log;
	ga_auto_free char *clean = ga_text_clean(why, strlen(why));

	/* The kubelet cannot read an answer in which one text is not UTF-8. */
	(void)snprintf(operation->failure, sizeof operation->failure, "%s",
		       clean && *clean ? clean : "it failed");
	log_say(log, LOG_LEVEL_ERROR, "claim %s/%s (%s) is not %s: %s", operation->namespace,
		operation->name, operation->uid,
		operation->answer->is_prepare ? "prepared" : "unprepared", operation->failure);
	end(operation);
}

/* ---- preparing: leases and the file ---- */

static void lease_and_write(struct job *job)
{
	struct keeping *keeping = (struct keeping *)job;
	struct operation *operation = keeping->context;

	keeping_work(job);
	if (keeping->result == 0)
		keeping->result = claim_file_write(
			operation->dra->agent->settings, operation->uid, &operation->units,
			*operation->driver_version ? operation->driver_version : NULL,
			keeping->error);
}

static void leased(struct job *job)
{
	struct keeping *keeping = (struct keeping *)job;
	struct operation *operation = keeping->context;
	struct dra *dra = operation->dra;
	struct prepared_claim *claim = operation->claim;
	bool good = keeping->result == 0 && !operation->is_cancelled;

	if (claim) {
		claim->pending--;
		claim->is_prepared = claim->is_prepared || good;
		if (!claim->is_prepared && claim->pending == 0)
			dra_drop(dra, claim);
	}
	if (good) {
		log_say(&dra->agent->log, LOG_LEVEL_INFO, "claim %s/%s (%s) is prepared",
			operation->namespace, operation->name, operation->uid);
		end(operation);
	} else {
		fail(operation,
		     operation->is_cancelled ? UNPREPARED : gpualloc_error_message(keeping->error));
	}
	keeping_free(keeping);
	agent_settle(dra->agent);
	agent_publish(dra->agent);
}

static int want(struct keeping *keeping, const struct claim_units *units)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < units->count; i++)
		if (!units->list[i].is_admin)
			result = units_wanted_add(&keeping->wanted, units->list[i].uuid,
						  units->list[i].is_mig);
	return result;
}

static int copy_units(struct claim_units *to, const struct claim_units *from)
{
	int result = 0;

	claim_units_free(to);
	for (size_t i = 0; result == 0 && i < from->count; i++)
		result = claim_units_add(to, &from->list[i]);
	return result;
}

/* From here on they are this claim's: what is leased and in no claim is given back. */
static int enter(struct operation *operation)
{
	struct dra *dra = operation->dra;
	struct prepared_claim *claim = dra_find(dra, operation->uid);

	if (!claim)
		claim = dra_add(dra, operation->uid);
	if (!claim)
		return GPUALLOC_ENOMEM;
	claim->pending++;
	operation->claim = claim;
	return copy_units(&claim->units, &operation->units);
}

static void lease(struct operation *operation)
{
	struct agent *agent = operation->dra->agent;
	struct keeping *keeping = keeping_new(&agent->keeper, agent->snapshot);
	const char *version = gpualloc_machine_driver(agent->inventory.machine);
	int result = keeping ? 0 : GPUALLOC_ENOMEM;

	if (result == 0 && agent->settings->lease)
		result = want(keeping, &operation->units);
	if (result == 0)
		result = enter(operation);
	if (result < 0) {
		keeping_free(keeping);
		if (operation->claim && --operation->claim->pending == 0 &&
		    !operation->claim->is_prepared)
			dra_drop(operation->dra, operation->claim);
		fail(operation, "out of memory");
		return;
	}
	(void)snprintf(operation->driver_version, sizeof operation->driver_version, "%s",
		       version ? version : "");
	keeping->who = operation->note;
	keeping->context = operation;
	keeping->job.work = lease_and_write;
	keeping->job.done = leased;
	worker_post(&agent->leases, &keeping->job);
}

/* ---- preparing: which devices ---- */

static const struct prepared_claim *other_claim_of(const struct operation *operation,
						   const char *uuid)
{
	for (const struct prepared_claim *claim = operation->dra->claims; claim;
	     claim = claim->next) {
		if (strcmp(claim->uid, operation->uid) == 0)
			continue;
		for (size_t i = 0; i < claim->units.count; i++)
			if (!claim->units.list[i].is_admin &&
			    strcmp(claim->units.list[i].uuid, uuid) == 0)
				return claim;
	}
	return NULL;
}

/* A claim that was given other devices since, with nobody told, has only those that it was prepared
 * with. */
static bool has_already(const struct operation *operation, const char *uuid)
{
	const struct prepared_claim *mine = dra_find(operation->dra, operation->uid);

	for (size_t i = 0; mine && mine->is_prepared && i < mine->units.count; i++)
		if (!mine->units.list[i].is_admin && strcmp(mine->units.list[i].uuid, uuid) == 0)
			return true;
	return false;
}

/* Admin access is for looking after devices, also those that are sick or somebody's. */
static int check_unit(const struct operation *operation, const char *uuid,
		      const struct allocation_result *result, gpualloc_error *error)
{
	const struct agent *agent = operation->dra->agent;
	const struct prepared_claim *other;
	struct unit *unit = inventory_find(&agent->inventory, uuid);

	if (result->is_admin || has_already(operation, uuid))
		return 0;
	other = other_claim_of(operation, uuid);
	if (other)
		return ga_error_set(error, GPUALLOC_EBUSY,
				    "%s (%s) is still prepared for the claim with uid %s",
				    result->device, uuid, other->uid);
	/* Whether it is leased is found out by leasing it. */
	if (!unit_is_healthy(unit, &agent->inventory, agent->settings, ga_clock_ms()) &&
	    !(unit->is_leased && agent->settings->lease))
		return ga_error_set(error, GPUALLOC_EBUSY, "%s (%s) cannot be used: %s",
				    result->device, uuid, unit->reason);
	return 0;
}

static int add_result(struct operation *operation, const struct allocation_result *result,
		      gpualloc_error *error)
{
	const struct inventory *inventory = &operation->dra->agent->inventory;
	const struct unit *units[SET_MOST];
	struct answer_device *device = answer_add_device(operation, result);
	size_t count = 0;
	int good = device ? name_resolve(inventory, result->device, units, &count, error)
			  : ga_error_memory(error);

	for (size_t i = 0; good == 0 && i < count; i++) {
		struct claim_unit unit = {.is_mig = units[i]->instance >= 0,
					  .is_admin = result->is_admin,
					  .minor = units[i]->minor,
					  .gi = units[i]->gi,
					  .ci = units[i]->ci};

		(void)snprintf(unit.uuid, sizeof unit.uuid, "%s", units[i]->uuid);
		good = check_unit(operation, unit.uuid, result, error);
		if (good == 0 && (claim_units_add(&device->units, &unit) < 0 ||
				  claim_units_add(&operation->units, &unit) < 0))
			good = ga_error_memory(error);
	}
	return good;
}

static void resolve(struct operation *operation, const json_t *claim)
{
	const struct settings *settings = operation->dra->agent->settings;
	ga_auto_free struct allocation *allocation = calloc(1, sizeof *allocation);
	auto_error gpualloc_error *error = gpualloc_error_new();
	int result = allocation ? allocation_read(claim, operation->uid, settings->driver,
						  settings->node, allocation, error)
				: GPUALLOC_ENOMEM;

	for (size_t i = 0; result == 0 && i < allocation->count; i++)
		result = add_result(operation, &allocation->results[i], error);
	if (result < 0)
		fail(operation, allocation ? gpualloc_error_message(error) : "out of memory");
	else
		lease(operation);
}

/* ---- preparing: the claim ---- */

struct get {
	struct job job;
	struct operation *operation;
	char path[PATH_SIZE];
	struct api_answer answer;
	int result;
	gpualloc_error *error;
};

static void get(struct job *job)
{
	struct get *get = (struct get *)job;

	get->result = api_get(get->operation->dra->api, get->path, &get->answer, get->error);
}

static void got(struct job *job)
{
	struct get *get = (struct get *)job;
	struct operation *operation = get->operation;
	struct dra *dra = operation->dra;

	dra->is_asking = false;
	if (operation->is_cancelled)
		fail(operation, UNPREPARED);
	else if (get->result < 0)
		fail(operation, gpualloc_error_message(get->error));
	else
		resolve(operation, get->answer.body);
	api_answer_free(&get->answer);
	gpualloc_error_free(get->error);
	free(get);
	operations_continue(dra);
}

static void ask(struct operation *operation)
{
	struct get *get_it = calloc(1, sizeof *get_it);

	operation->is_waiting = false;
	if (!get_it) {
		fail(operation, "out of memory");
		return;
	}
	get_it->operation = operation;
	get_it->error = gpualloc_error_new();
	get_it->job = (struct job){.work = get, .done = got};
	(void)snprintf(get_it->path, sizeof get_it->path,
		       "/apis/resource.k8s.io/v1/namespaces/%s/resourceclaims/%s",
		       operation->namespace, operation->name);
	operation->dra->is_asking = true;
	worker_post(&operation->dra->gets, &get_it->job);
}

/*
 * Also whether names of devices mean what the scheduler takes them for, and the claims of before a
 * restart have their leases again.
 */
static bool is_ready(const struct dra *dra)
{
	const struct agent *agent = dra->agent;

	return agent->inventory.machine && !agent->inventory.is_blind &&
	       publisher_is_ready(dra->publisher) &&
	       (!agent->settings->lease || agent->has_settled);
}

static const char *why_not_ready(const struct dra *dra)
{
	if (!dra->agent->inventory.machine || dra->agent->inventory.is_blind)
		return "the GPUs of this node are not known: the driver does not answer";
	if (!publisher_is_ready(dra->publisher))
		return "the API server does not say which devices this node has published";
	return "what was prepared before could not be leased yet";
}

/* Why one that waits need not wait any longer; NULL: it may. */
static const char *is_in_vain(const struct operation *operation)
{
	const struct dra *dra = operation->dra;

	if (operation->is_cancelled)
		return UNPREPARED;
	if (!operation->answer->call)
		return "the kubelet does not wait for it any more";
	return is_ready(dra) || ga_clock_ms() - operation->since <= MACHINE_MS ? NULL
									       : why_not_ready(dra);
}

static struct operation *find_in_vain(const struct dra *dra)
{
	for (struct operation *one = dra->operations; one; one = one->next)
		if (one->is_waiting && is_in_vain(one))
			return one;
	return NULL;
}

/* One request after the other, the oldest first: an API server that is slow is not asked in vain.
 */
void operations_continue(struct dra *dra)
{
	struct operation *oldest = NULL, *vain;

	while ((vain = find_in_vain(dra)))
		fail(vain, is_in_vain(vain));
	for (struct operation *one = dra->operations; one; one = one->next)
		oldest = one->is_waiting ? one : oldest;
	if (oldest && is_ready(dra) && !dra->is_asking)
		ask(oldest);
}

/* ---- unpreparing ---- */

static void remove_and_give_back(struct job *job)
{
	struct keeping *keeping = (struct keeping *)job;
	struct operation *operation = keeping->context;

	keeping->result =
		claim_file_remove(operation->dra->agent->settings, operation->uid, keeping->error);
	if (keeping->result == 0)
		keeping_work(job);
}

static void given_back(struct job *job)
{
	struct keeping *keeping = (struct keeping *)job;
	struct operation *operation = keeping->context;
	struct agent *agent = operation->dra->agent;

	if (keeping->result == 0) {
		log_say(&agent->log, LOG_LEVEL_INFO, "claim %s/%s (%s) is unprepared",
			operation->namespace, operation->name, operation->uid);
		end(operation);
	} else {
		fail(operation, gpualloc_error_message(keeping->error));
	}
	keeping_free(keeping);
	agent_settle(agent);
	agent_publish(agent);
}

static void cancel(struct dra *dra, const char *uid)
{
	for (struct operation *one = dra->operations; one; one = one->next)
		if (one->answer->is_prepare && strcmp(one->uid, uid) == 0) {
			one->is_cancelled = true;
			one->claim = NULL;
		}
}

static void unprepare(struct operation *operation)
{
	struct dra *dra = operation->dra;
	struct agent *agent = dra->agent;
	struct keeping *keeping = keeping_new(&agent->keeper, -1);
	struct prepared_claim *claim = dra_find(dra, operation->uid);

	if (!keeping || (claim && want(keeping, &claim->units) < 0)) {
		keeping_free(keeping);
		fail(operation, "out of memory");
		return;
	}
	cancel(dra, operation->uid);
	if (claim)
		dra_drop(dra, claim);
	keeping->is_return = true;
	keeping->context = operation;
	keeping->job.work = remove_and_give_back;
	keeping->job.done = given_back;
	worker_post(&agent->leases, &keeping->job);
}

/* ---- calls ---- */

/* It ends up in the path of a request, so it is what Kubernetes allows as a name. */
static bool is_name(const char *text)
{
	size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.");

	return size > 0 && size < OPERATION_NAME && !text[size] && *text != '.';
}

static void begin(struct operation *operation, const Dra__Claim *claim)
{
	struct dra *dra = operation->dra;

	operation->next = dra->operations;
	dra->operations = operation;
	dra->operation_count++;
	operation->since = ga_clock_ms();
	(void)snprintf(operation->namespace, sizeof operation->namespace, "%s", claim->namespace_);
	(void)snprintf(operation->name, sizeof operation->name, "%s", claim->name);
	/* It begins with the driver's name, by which other agents know that it is theirs too. */
	(void)snprintf(operation->note, sizeof operation->note, "%s %.60s/%.120s",
		       dra->agent->settings->driver, operation->namespace, operation->name);
	if (!claim_uid_is_valid(claim->uid) || !is_name(claim->namespace_) || !is_name(claim->name))
		fail(operation, "this is no claim: namespace, name or uid are not valid");
	else if (!operation->answer->is_prepare)
		unprepare(operation);
	else
		operation->is_waiting = true;
}

static void called(struct dra *dra, struct grpc_call *call, bool is_prepare, const uint8_t *message,
		   size_t size)
{
	auto_arena struct arena arena = {0};
	const Dra__Claims *request = message_read(&arena, &dra__claims__descriptor, message, size);
	struct dra_answer *answer;

	if (!request) {
		grpc_call_fail(call, GRPC_INVALID_ARGUMENT, "this is no list of claims");
		return;
	}
	if (request->n_claims > CLAIMS_MOST ||
	    dra->operation_count + request->n_claims > OPERATIONS_MOST) {
		grpc_call_fail(call, GRPC_RESOURCE_EXHAUSTED, "too many claims at once");
		return;
	}
	answer = answer_new(dra, call, is_prepare, request);
	if (!answer) {
		grpc_call_fail(call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	for (size_t i = 0; i < request->n_claims; i++)
		begin(&answer->operations[i], request->claims[i]);
	answer_when_complete(answer);
	operations_continue(dra);
}

void prepare_called(void *context, struct grpc_call *call, const uint8_t *message, size_t size)
{
	called(context, call, true, message, size);
}

void unprepare_called(void *context, struct grpc_call *call, const uint8_t *message, size_t size)
{
	called(context, call, false, message, size);
}

void operations_ended(void *context, struct grpc_call *call)
{
	struct dra_answer *answer = grpc_call_note(call);

	(void)context;
	if (answer)
		answer->call = NULL;
}
