/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what pods have; see claims.h. */
#include "claims.h"

#include "text.h"

#include <stdio.h>
#include <string.h>

struct claim *claims_find(const struct claims *claims, const char *id)
{
	for (size_t i = 0; i < claims->count; i++)
		if (strcmp(claims->list[i].id, id) == 0)
			return &claims->list[i];
	return NULL;
}

int claims_add(struct claims *claims, const char *id, int64_t now)
{
	struct claim *claim = claims_find(claims, id);
	struct claim *more;

	if (claim) {
		claim->is_seen = false;
		claim->since = now;
		return 0;
	}
	more = realloc(claims->list, (claims->count + 1) * sizeof *more);
	if (!more)
		return GPUALLOC_ENOMEM;
	claims->list = more;
	more[claims->count] = (struct claim){.since = now};
	(void)snprintf(more[claims->count++].id, DEVICE_ID, "%s", id);
	return 1;
}

void claims_drop(struct claims *claims, const char *id)
{
	struct claim *claim = claims_find(claims, id);

	if (claim)
		*claim = claims->list[--claims->count];
}

void claims_doubt(struct claims *claims, int64_t now)
{
	for (size_t i = 0; i < claims->count; i++) {
		claims->list[i].is_seen = false;
		claims->list[i].since = now;
	}
}

void claims_free(struct claims *claims)
{
	free(claims->list);
	*claims = (struct claims){0};
}

static int take_id(struct claims *claims, const char *id, int64_t asked_at, int64_t now)
{
	struct claim *claim = claims_find(claims, id);

	if (strlen(id) >= DEVICE_ID)
		return 0;
	if (!claim) {
		if (claims_add(claims, id, now) < 0)
			return GPUALLOC_ENOMEM;
		claim = &claims->list[claims->count - 1];
		claim->is_seen = true;
	}
	claim->is_in_list = true;
	claim->is_seen = claim->is_seen || claim->since < asked_at;
	return 0;
}

static int take_container(struct claims *claims, const V1__ContainerResources *container,
			  const struct settings *settings, int64_t asked_at, int64_t now)
{
	for (size_t i = 0; i < container->n_devices; i++) {
		const V1__ContainerDevices *devices = container->devices[i];

		for (size_t j = 0; resource_is_ours(devices->resource_name, settings) &&
				   j < devices->n_device_ids;
		     j++)
			if (take_id(claims, devices->device_ids[j], asked_at, now) < 0)
				return GPUALLOC_ENOMEM;
	}
	return 0;
}

static int drop_gone(struct claims *claims, const struct settings *settings, int64_t asked_at,
		     int64_t now)
{
	size_t kept = 0, before = claims->count;

	for (size_t i = 0; i < before; i++) {
		struct claim *claim = &claims->list[i];
		bool is_new = claim->since >= asked_at;
		bool waits = !claim->is_seen && now - claim->since < settings->pod_wait_ms;

		if (claim->is_in_list || is_new || waits)
			claims->list[kept++] = *claim;
	}
	claims->count = kept;
	return (int)(before - kept);
}

int claims_take_list(struct claims *claims, const V1__ListPodResourcesResponse *list,
		     const struct settings *settings, int64_t asked_at, int64_t now)
{
	for (size_t i = 0; i < claims->count; i++)
		claims->list[i].is_in_list = false;
	for (size_t i = 0; i < list->n_pod_resources; i++)
		for (size_t j = 0; j < list->pod_resources[i]->n_containers; j++)
			if (take_container(claims, list->pod_resources[i]->containers[j], settings,
					   asked_at, now) < 0)
				return GPUALLOC_ENOMEM;
	return drop_gone(claims, settings, asked_at, now);
}

int claims_units(const struct claims *claims, struct units_wanted *ret_wanted)
{
	for (size_t i = 0; i < claims->count; i++) {
		char uuid[UNIT_ID];

		unit_of_id(claims->list[i].id, uuid);
		if (*uuid && units_wanted_add(ret_wanted, uuid, ga_text_starts(uuid, "MIG-")) < 0)
			return GPUALLOC_ENOMEM;
	}
	return 0;
}
