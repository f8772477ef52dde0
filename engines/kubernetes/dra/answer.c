/* SPDX-License-Identifier: Apache-2.0 */
/* Messages about claims; see answer.h. */
#include "answer.h"

#include "messages.h"

#include <stdio.h>
#include <string.h>

#define NEW(arena, type) ((type *)arena_take(arena, sizeof(type)))

struct dra_answer *answer_new(struct dra *dra, struct grpc_call *call, bool is_prepare,
			      const Dra__Claims *request)
{
	struct dra_answer *answer =
		calloc(1, sizeof *answer + request->n_claims * sizeof *answer->operations);

	if (!answer)
		return NULL;
	answer->dra = dra;
	answer->call = call;
	answer->is_prepare = is_prepare;
	answer->since_us = metrics_now_us();
	answer->count = request->n_claims;
	answer->left = request->n_claims + 1;
	for (size_t i = 0; i < answer->count; i++) {
		struct operation *operation = &answer->operations[i];

		operation->dra = dra;
		operation->answer = answer;
		(void)snprintf(operation->key, sizeof operation->key, "%s",
			       request->claims[i]->uid);
		(void)snprintf(operation->uid, sizeof operation->uid, "%.63s", operation->key);
	}
	grpc_call_set_note(call, answer);
	return answer;
}

static void answer_free(struct dra_answer *answer)
{
	for (size_t i = 0; i < answer->count; i++) {
		struct operation *operation = &answer->operations[i];

		for (size_t j = 0; j < operation->device_count; j++)
			claim_units_free(&operation->devices[j].units);
		free(operation->devices);
		claim_units_free(&operation->units);
	}
	free(answer);
}

struct answer_device *answer_add_device(struct operation *operation,
					const struct allocation_result *result)
{
	struct answer_device *more =
		realloc(operation->devices, (operation->device_count + 1) * sizeof *more);
	struct answer_device *device;

	if (!more)
		return NULL;
	operation->devices = more;
	device = &more[operation->device_count++];
	*device = (struct answer_device){0};
	(void)snprintf(device->request, sizeof device->request, "%s", result->request);
	(void)snprintf(device->name, sizeof device->name, "%s", result->device);
	return device;
}

/* ---- messages ---- */

static Dra__Device *describe_device(struct arena *arena, const struct operation *operation,
				    const struct answer_device *from)
{
	const struct settings *settings = operation->dra->agent->settings;
	Dra__Device *device = NEW(arena, Dra__Device);
	size_t count = from->units.count;

	if (!device)
		return NULL;
	dra__device__init(device);
	device->request_names = NEW(arena, char *);
	device->cdi_device_ids = arena_take(arena, (count + 1) * sizeof(char *));
	device->pool_name = arena_text(arena, "%s", settings->node);
	device->device_name = arena_text(arena, "%s", from->name);
	if (!device->request_names || !device->cdi_device_ids || !device->pool_name ||
	    !device->device_name)
		return NULL;
	device->request_names[0] = arena_text(arena, "%s", from->request);
	device->n_request_names = 1;
	for (size_t i = 0; i < count; i++) {
		char id[SETTINGS_TEXT];

		claim_device_id(settings, operation->uid, &from->units.list[i], id, sizeof id);
		device->cdi_device_ids[i] = arena_text(arena, "%s", id);
		if (!device->cdi_device_ids[i])
			return NULL;
	}
	device->n_cdi_device_ids = count;
	return device->request_names[0] ? device : NULL;
}

static Dra__Prepared *describe(struct arena *arena, const struct operation *operation)
{
	Dra__Prepared *prepared = NEW(arena, Dra__Prepared);
	size_t count = *operation->failure ? 0 : operation->device_count;

	if (!prepared)
		return NULL;
	dra__prepared__init(prepared);
	prepared->devices = arena_take(arena, (count + 1) * sizeof(Dra__Device *));
	if (*operation->failure)
		prepared->error = arena_text(arena, "%s", operation->failure);
	if (!prepared->devices || !prepared->error)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		prepared->devices[i] = describe_device(arena, operation, &operation->devices[i]);
		if (!prepared->devices[i])
			return NULL;
	}
	prepared->n_devices = count;
	return prepared;
}

static Dra__Unprepared *describe_unprepared(struct arena *arena, const struct operation *operation)
{
	Dra__Unprepared *unprepared = NEW(arena, Dra__Unprepared);

	if (!unprepared)
		return NULL;
	dra__unprepared__init(unprepared);
	if (*operation->failure)
		unprepared->error = arena_text(arena, "%s", operation->failure);
	return unprepared->error ? unprepared : NULL;
}

static uint8_t *write_prepared(struct arena *arena, const struct dra_answer *answer,
			       size_t *ret_size)
{
	Dra__PrepareResponse response = DRA__PREPARE_RESPONSE__INIT;

	response.claims = arena_take(arena, (answer->count + 1) * sizeof *response.claims);
	for (size_t i = 0; response.claims && i < answer->count; i++) {
		Dra__PrepareResponse__ClaimsEntry *entry =
			NEW(arena, Dra__PrepareResponse__ClaimsEntry);

		if (!entry)
			return NULL;
		dra__prepare_response__claims_entry__init(entry);
		entry->key = arena_text(arena, "%s", answer->operations[i].key);
		entry->value = describe(arena, &answer->operations[i]);
		if (!entry->key || !entry->value)
			return NULL;
		response.claims[response.n_claims++] = entry;
	}
	return response.claims ? message_write(&response.base, ret_size) : NULL;
}

static uint8_t *write_unprepared(struct arena *arena, const struct dra_answer *answer,
				 size_t *ret_size)
{
	Dra__UnprepareResponse response = DRA__UNPREPARE_RESPONSE__INIT;

	response.claims = arena_take(arena, (answer->count + 1) * sizeof *response.claims);
	for (size_t i = 0; response.claims && i < answer->count; i++) {
		Dra__UnprepareResponse__ClaimsEntry *entry =
			NEW(arena, Dra__UnprepareResponse__ClaimsEntry);

		if (!entry)
			return NULL;
		dra__unprepare_response__claims_entry__init(entry);
		entry->key = arena_text(arena, "%s", answer->operations[i].key);
		entry->value = describe_unprepared(arena, &answer->operations[i]);
		if (!entry->key || !entry->value)
			return NULL;
		response.claims[response.n_claims++] = entry;
	}
	return response.claims ? message_write(&response.base, ret_size) : NULL;
}

/* A call has failed where one of its claims has. */
static void count_call(const struct dra_answer *answer)
{
	bool is_good = true;

	for (size_t i = 0; i < answer->count; i++)
		is_good = is_good && !*answer->operations[i].failure;
	metrics_called(&answer->dra->agent->metrics,
		       answer->is_prepare ? "NodePrepareResources" : "NodeUnprepareResources",
		       answer->since_us, is_good);
}

void answer_when_complete(struct dra_answer *answer)
{
	auto_arena struct arena arena = {0};
	ga_auto_free uint8_t *bytes = NULL;
	size_t size;

	if (--answer->left > 0)
		return;
	count_call(answer);
	if (answer->call) {
		bytes = answer->is_prepare ? write_prepared(&arena, answer, &size)
					   : write_unprepared(&arena, answer, &size);
		if (bytes)
			grpc_call_reply(answer->call, bytes, size);
		else
			grpc_call_fail(answer->call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
	}
	answer_free(answer);
}
