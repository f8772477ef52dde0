/* SPDX-License-Identifier: Apache-2.0 */
/* GetPreferredAllocation and Allocate; see allocate.h. */
#include "allocate.h"

#include "choice.h"
#include "clock.h"
#include "container.h"

#include <stdio.h>
#include <string.h>

/* ---- which are best ---- */

static V1beta1__ContainerPreferredAllocationResponse *prefer(
	struct plugin *plugin, struct arena *arena,
	const V1beta1__ContainerPreferredAllocationRequest *request)
{
	struct agent *agent = plugin->agent;
	V1beta1__ContainerPreferredAllocationResponse *response =
		arena_take(arena, sizeof *response);
	size_t room = request->n_available_deviceids + request->n_must_include_deviceids;
	struct choice_asked asked = {
		.inventory = &agent->inventory,
		.settings = agent->settings,
		.policy = agent->policy,
		.answers = &agent->foresight.answers,
		.available = request->available_deviceids,
		.available_count = request->n_available_deviceids,
		.must = request->must_include_deviceids,
		.must_count = request->n_must_include_deviceids,
		.wanted = request->allocation_size > 0 ? (size_t)request->allocation_size : 0};

	if (!response)
		return NULL;
	v1beta1__container_preferred_allocation_response__init(response);
	response->deviceids = arena_take(arena, (room + 1) * sizeof *response->deviceids);
	if (!response->deviceids)
		return NULL;
	response->n_deviceids = choice_make(&asked, response->deviceids);
	return response;
}

static void reply(struct grpc_call *call, const ProtobufCMessage *message)
{
	size_t size;
	ga_auto_free uint8_t *bytes = message_write(message, &size);

	if (bytes)
		grpc_call_reply(call, bytes, size);
	else
		grpc_call_fail(call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
}

void prefer_called(void *context, struct grpc_call *call, const uint8_t *message, size_t size)
{
	struct plugin *plugin = context;
	int64_t since_us = metrics_now_us();
	auto_arena struct arena arena = {0};
	V1beta1__PreferredAllocationRequest *request = message_read(
		&arena, &v1beta1__preferred_allocation_request__descriptor, message, size);
	V1beta1__PreferredAllocationResponse response =
		V1BETA1__PREFERRED_ALLOCATION_RESPONSE__INIT;

	if (!request) {
		grpc_call_fail(call, GRPC_INVALID_ARGUMENT,
			       "this is no PreferredAllocationRequest");
		return;
	}
	response.container_responses = arena_take(
		&arena, (request->n_container_requests + 1) * sizeof *response.container_responses);
	for (size_t i = 0; response.container_responses && i < request->n_container_requests; i++) {
		response.container_responses[i] =
			prefer(plugin, &arena, request->container_requests[i]);
		if (!response.container_responses[i])
			break;
		response.n_container_responses++;
	}
	metrics_called(&plugin->agent->metrics, "GetPreferredAllocation", since_us,
		       response.n_container_responses == request->n_container_requests);
	if (response.n_container_responses < request->n_container_requests)
		grpc_call_fail(call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
	else
		reply(call, &response.base);
}

/* ---- what a container gets ---- */

/* From the call to its answer, which waits for leases. */
struct allocation {
	struct agent *agent;
	int64_t since_us;
	struct grpc_call *call; /* NULL: nobody waits for the answer any more */
	uint8_t *answer;
	size_t size;
	char (*fresh)[DEVICE_ID]; /* ids that no pod had before */
	size_t fresh_count;
};

static void allocation_free(struct allocation *allocation)
{
	if (!allocation)
		return;
	free(allocation->answer);
	free(allocation->fresh);
	free(allocation);
}

/* The units of some ids, each once, best connected neighbours side by side. */
static size_t units_of(const struct plugin *plugin, char **ids, size_t count,
		       const struct unit **units)
{
	size_t found = 0;

	count = choice_sort(&plugin->agent->inventory, ids, count);
	for (size_t i = 0; i < count; i++) {
		const struct unit *unit = inventory_find(&plugin->agent->inventory, ids[i]);

		if (unit && (found == 0 || units[found - 1] != unit))
			units[found++] = unit;
	}
	return found;
}

static void order_units(const struct agent *agent, const struct unit **units, size_t count)
{
	ga_auto_free const gpualloc_device **devices = calloc(count + 1, sizeof(void *));
	const gpualloc_machine *machine = agent->inventory.machine;

	for (size_t i = 0; devices && i < count; i++) {
		if (units[i]->number < 0 || units[i]->instance >= 0)
			return;
		devices[i] = gpualloc_machine_device(machine, (size_t)units[i]->number);
	}
	if (!devices || gpualloc_devices_order(machine, devices, count, NULL) < 0)
		return;
	for (size_t i = 0; i < count; i++) {
		const struct unit *unit =
			inventory_find(&agent->inventory, gpualloc_device_uuid(devices[i]));

		units[i] = unit ? unit : units[i];
	}
}

/* NULL: out of memory. */
static V1beta1__ContainerAllocateResponse *describe(
	const struct plugin *plugin, struct arena *arena,
	const V1beta1__ContainerAllocateRequest *request)
{
	const struct unit **units = arena_take(arena, (request->n_devices_ids + 1) * sizeof *units);
	size_t count;

	if (!units)
		return NULL;
	count = units_of(plugin, request->devices_ids, request->n_devices_ids, units);
	order_units(plugin->agent, units, count);
	return container_describe(arena, units, count, plugin->agent->settings);
}

static const char *unknown_id(const struct plugin *plugin, const V1beta1__AllocateRequest *request)
{
	for (size_t i = 0; i < request->n_container_requests; i++)
		for (size_t j = 0; j < request->container_requests[i]->n_devices_ids; j++) {
			const char *id = request->container_requests[i]->devices_ids[j];
			const struct unit *unit = inventory_find(&plugin->agent->inventory, id);

			if (!unit || strlen(id) >= DEVICE_ID ||
			    strcmp(unit->resource, plugin->resource) != 0)
				return id;
		}
	return NULL;
}

static uint8_t *write_answer(const struct plugin *plugin, struct arena *arena,
			     const V1beta1__AllocateRequest *request, size_t *ret_size)
{
	V1beta1__AllocateResponse response = V1BETA1__ALLOCATE_RESPONSE__INIT;
	size_t count = request->n_container_requests;

	response.container_responses =
		arena_take(arena, (count + 1) * sizeof *response.container_responses);
	if (!response.container_responses)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		response.container_responses[i] =
			describe(plugin, arena, request->container_requests[i]);
		if (!response.container_responses[i])
			return NULL;
	}
	response.n_container_responses = count;
	return message_write(&response.base, ret_size);
}

/* ---- leasing ---- */

static int claim(struct allocation *allocation, const char *id, struct keeping *keeping)
{
	struct agent *agent = allocation->agent;
	struct unit *unit = inventory_find(&agent->inventory, id);
	int result = claims_add(&agent->claims, id, ga_clock_ms());

	if (result < 0)
		return result;
	if (result == 1)
		(void)snprintf(allocation->fresh[allocation->fresh_count++], DEVICE_ID, "%s", id);
	unit->is_ours = true;
	return units_wanted_add(&keeping->wanted, unit->uuid, unit->instance >= 0);
}

static int claim_all(struct allocation *allocation, const V1beta1__AllocateRequest *request,
		     struct keeping *keeping)
{
	size_t count = 0;
	int result = 0;

	for (size_t i = 0; i < request->n_container_requests; i++)
		count += request->container_requests[i]->n_devices_ids;
	allocation->fresh = calloc(count + 1, sizeof *allocation->fresh);
	if (!allocation->fresh)
		return GPUALLOC_ENOMEM;
	for (size_t i = 0; i < request->n_container_requests; i++)
		for (size_t j = 0; result == 0 && j < request->container_requests[i]->n_devices_ids;
		     j++)
			result = claim(allocation, request->container_requests[i]->devices_ids[j],
				       keeping);
	return result;
}

static void unclaim(struct allocation *allocation)
{
	for (size_t i = 0; i < allocation->fresh_count; i++)
		claims_drop(&allocation->agent->claims, allocation->fresh[i]);
}

static const char method[] = "Allocate";

static void leased(struct job *job)
{
	struct keeping *keeping = (struct keeping *)job;
	struct allocation *allocation = keeping->context;
	struct agent *agent = allocation->agent;

	metrics_called(&agent->metrics, method, allocation->since_us, keeping->result == 0);
	if (keeping->result < 0) {
		const char *why = gpualloc_error_message(keeping->error);

		log_say(&agent->log, LOG_LEVEL_ERROR, "a pod is refused its devices: %s", why);
		unclaim(allocation);
		if (allocation->call)
			grpc_call_fail(allocation->call, GRPC_FAILED_PRECONDITION, why);
		agent_settle(agent);
	} else if (allocation->call) {
		grpc_call_reply(allocation->call, allocation->answer, allocation->size);
	}
	allocation_free(allocation);
	keeping_free(keeping);
	foresight_look(agent);
}

static void lease(struct plugin *plugin, struct allocation *allocation,
		  const V1beta1__AllocateRequest *request)
{
	struct agent *agent = plugin->agent;
	struct keeping *keeping = keeping_new(&agent->keeper, agent->snapshot);

	if (!keeping || claim_all(allocation, request, keeping) < 0) {
		unclaim(allocation);
		grpc_call_fail(allocation->call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		allocation_free(allocation);
		keeping_free(keeping);
		return;
	}
	keeping->context = allocation;
	keeping->job.done = leased;
	keeping->who = plugin->resource;
	grpc_call_set_note(allocation->call, allocation);
	worker_post(&agent->leases, &keeping->job);
}

void allocate_called(void *context, struct grpc_call *call, const uint8_t *message, size_t size)
{
	struct plugin *plugin = context;
	auto_arena struct arena arena = {0};
	V1beta1__AllocateRequest *request =
		message_read(&arena, &v1beta1__allocate_request__descriptor, message, size);
	const char *unknown = request ? unknown_id(plugin, request) : "";
	struct metrics *metrics = &plugin->agent->metrics;
	int64_t since_us = metrics_now_us();
	struct allocation *allocation;
	char sentence[512];

	if (unknown) {
		metrics_called(metrics, method, since_us, false);
		(void)snprintf(sentence, sizeof sentence, "%s has no device \"%.64s\"",
			       plugin->resource, unknown);
		grpc_call_fail(call, GRPC_INVALID_ARGUMENT,
			       request ? sentence : "this is no AllocateRequest");
		return;
	}
	allocation = calloc(1, sizeof *allocation);
	if (allocation) {
		allocation->agent = plugin->agent;
		allocation->since_us = since_us;
		allocation->call = call;
		allocation->answer = write_answer(plugin, &arena, request, &allocation->size);
	}
	if (!allocation || !allocation->answer) {
		metrics_called(metrics, method, since_us, false);
		grpc_call_fail(call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		allocation_free(allocation);
	} else if (plugin->agent->settings->lease) {
		lease(plugin, allocation, request);
	} else {
		metrics_called(metrics, method, since_us, true);
		grpc_call_reply(call, allocation->answer, allocation->size);
		allocation_free(allocation);
	}
}

void allocate_ended(void *context, struct grpc_call *call)
{
	struct allocation *allocation = grpc_call_note(call);

	(void)context;
	if (allocation)
		allocation->call = NULL;
}
