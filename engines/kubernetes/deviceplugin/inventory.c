/* SPDX-License-Identifier: Apache-2.0 */
/* From snapshots to units; see inventory.h. */
#include "inventory.h"

#include "error.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

void inventory_free(struct inventory *inventory)
{
	gpualloc_machine_free(inventory->machine);
	free(inventory->units);
	*inventory = (struct inventory){0};
}

void unit_of_id(const char *id, char uuid[static UNIT_ID])
{
	const char *replica = strstr(id, "::");
	size_t size = replica ? (size_t)(replica - id) : strlen(id);

	(void)snprintf(uuid, UNIT_ID, "%.*s", size < UNIT_ID ? (int)size : 0, id);
}

struct unit *inventory_find(const struct inventory *inventory, const char *id)
{
	char uuid[UNIT_ID];

	unit_of_id(id, uuid);
	for (size_t i = 0; i < inventory->count; i++)
		if (strcmp(inventory->units[i].uuid, uuid) == 0)
			return &inventory->units[i];
	return NULL;
}

/* ---- which devices, and under which name ---- */

struct offering {
	const gpualloc_machine *machine;
	const struct settings *settings;
	struct inventory *inventory;
	const char *profile; /* mig=single: of all instances */
	bool is_single;
	int64_t began_at;
	const char *excluded;
};

/* "1g.10gb+me" as a name that Kubernetes takes. */
static void mixed_name(const char *resource, const char *profile, char name[static RESOURCE_SIZE])
{
	const char *slash = strchr(resource, '/');
	int domain = slash ? (int)(slash - resource) : 0;

	(void)snprintf(name, RESOURCE_SIZE, "%.*s/mig-%.48s", domain, resource, profile);
	for (char *c = name; *c; c++)
		if (*c == '+')
			*c = '.';
}

static bool name_resource(const struct offering *offering, const gpualloc_device *device,
			  char name[static RESOURCE_SIZE])
{
	const struct settings *settings = offering->settings;
	const char *profile = gpualloc_device_profile(device);

	*name = '\0';
	if (!gpualloc_device_parent(device)) {
		if (gpualloc_device_mig_enabled(device) == 1)
			return false;
		(void)snprintf(name, RESOURCE_SIZE, "%s", settings->resource);
	} else if (settings->mig == MIG_MIXED && profile) {
		mixed_name(settings->resource, profile, name);
	} else if (offering->is_single) {
		(void)snprintf(name, RESOURCE_SIZE, "%s", settings->resource);
	}
	return *name != '\0';
}

bool resource_is_ours(const char *resource, const struct settings *settings)
{
	const char *slash = strchr(settings->resource, '/');
	size_t domain = slash ? (size_t)(slash - settings->resource) + 1 : 0;

	if (strcmp(resource, settings->resource) == 0)
		return true;
	return settings->mig == MIG_MIXED && strncmp(resource, settings->resource, domain) == 0 &&
	       ga_text_starts(resource + domain, "mig-");
}

/* mig=single: one resource must mean one thing, so all instances are alike or none is offered. */
static void look_for_profile(struct offering *offering)
{
	const char *profile = NULL;
	bool uneven = false;
	size_t gpus = gpualloc_machine_device_count(offering->machine), whole = 0;

	for (size_t i = 0; i < gpus; i++) {
		const gpualloc_device *gpu = gpualloc_machine_device(offering->machine, i);

		whole += gpualloc_device_mig_enabled(gpu) != 1;
		for (size_t j = 0; j < gpualloc_device_mig_count(gpu); j++) {
			const char *one = gpualloc_device_profile(gpualloc_device_mig(gpu, j));

			uneven = uneven || !one || (profile && strcmp(profile, one) != 0);
			profile = one;
		}
	}
	uneven = uneven || (profile && whole > 0);
	offering->is_single = offering->settings->mig == MIG_SINGLE && profile && !uneven;
	offering->inventory->is_uneven = offering->settings->mig == MIG_SINGLE && uneven;
}

/* ---- one device ---- */

static bool is_of_gpu(const struct unit *unit, const char *pci, int64_t gpu)
{
	return *pci && *unit->pci ? strcmp(unit->pci, pci) == 0 : unit->gpu == gpu;
}

static bool is_label_taken(const struct inventory *inventory, int64_t label)
{
	for (size_t i = 0; i < inventory->count; i++)
		if (inventory->units[i].label == label)
			return true;
	return false;
}

/* Indices change when a GPU is lost; its label is not to become another's. */
static int64_t label_for(const struct inventory *inventory, const char *pci, int64_t gpu)
{
	int64_t label = gpu;

	for (size_t i = 0; i < inventory->count; i++)
		if (is_of_gpu(&inventory->units[i], pci, gpu) && inventory->units[i].label >= 0)
			return inventory->units[i].label;
	if (is_label_taken(inventory, label))
		for (label = 0; is_label_taken(inventory, label); label++)
			;
	return label;
}

void inventory_relabel(struct inventory *inventory, const char *uuid, int64_t label)
{
	struct unit *unit = inventory_find(inventory, uuid);
	int64_t old = unit ? unit->label : label;

	/* Whoever has it now gets the other one. */
	for (size_t i = 0; unit && old != label && i < inventory->count; i++) {
		struct unit *one = &inventory->units[i];

		one->label = one->label == old ? label : one->label == label ? old : one->label;
	}
}

static struct unit *unit_for(struct inventory *inventory, const char *uuid)
{
	struct unit *unit = inventory_find(inventory, uuid);
	struct unit *more;

	if (unit)
		return unit;
	more = realloc(inventory->units, (inventory->count + 1) * sizeof *more);
	if (!more)
		return NULL;
	inventory->units = more;
	unit = &more[inventory->count++];
	*unit = (struct unit){.label = -1, .gpu = -1, .sick_at = -1, .let_go_at = -1};
	(void)snprintf(unit->uuid, sizeof unit->uuid, "%s", uuid);
	return unit;
}

/* Copies the administrator's reason; false if there is none. */
static bool is_excluded(const struct offering *offering, struct unit *unit)
{
	struct ga_view rest = {offering->excluded, strlen(offering->excluded)}, line;
	size_t length = strlen(unit->uuid);

	while (ga_view_line(&rest, &line))
		if (line.size > length && memcmp(line.text, unit->uuid, length) == 0 &&
		    line.text[length] == ' ') {
			(void)snprintf(unit->reason, sizeof unit->reason, "%.*s",
				       (int)(line.size - length - 1), line.text + length + 1);
			return true;
		}
	return false;
}

static void judge(struct unit *unit, const gpualloc_device *device, const gpualloc_device *gpu,
		  const struct offering *offering)
{
	enum gpualloc_state state = gpualloc_device_state(device);

	unit->is_missing = false;
	unit->probed_at = offering->began_at;
	unit->is_sick = gpualloc_device_health(gpu) != GPUALLOC_HEALTH_OK ||
			gpualloc_device_health(device) != GPUALLOC_HEALTH_OK;
	unit->is_used = state == GPUALLOC_STATE_IN_USE;
	if (unit->is_sick)
		unit->sick_at = offering->began_at;
	if (state != GPUALLOC_STATE_FREE)
		(void)gpualloc_device_reason(device, unit->reason, sizeof unit->reason);
	unit->is_withheld = !unit->is_sick && is_excluded(offering, unit);
}

static int add(const struct offering *offering, const gpualloc_device *device,
	       const gpualloc_device *gpu, int64_t instance)
{
	const char *uuid = gpualloc_device_uuid(device), *pci = gpualloc_device_pci(gpu);
	char name[RESOURCE_SIZE];
	struct unit *unit;

	if (!name_resource(offering, device, name))
		return 0;
	if (!uuid || strlen(uuid) >= UNIT_ID - 5 || strstr(uuid, "::")) {
		offering->inventory->without_uuid++;
		return 0;
	}
	unit = unit_for(offering->inventory, uuid);
	if (!unit)
		return GPUALLOC_ENOMEM;
	memcpy(unit->resource, name, sizeof name);
	(void)snprintf(unit->pci, sizeof unit->pci, "%s", pci ? pci : "");
	unit->number = gpualloc_device_number(offering->machine, device);
	unit->gpu = gpualloc_device_index(gpu);
	if (unit->label < 0)
		unit->label = label_for(offering->inventory, unit->pci, unit->gpu);
	unit->instance = instance;
	unit->minor = gpualloc_device_minor(gpu);
	unit->numa = gpualloc_device_numa(gpu);
	unit->gi = instance < 0 ? -1 : gpualloc_device_gi(device);
	unit->ci = instance < 0 ? -1 : gpualloc_device_ci(device);
	judge(unit, device, gpu, offering);
	return 0;
}

static int add_gpu(const struct offering *offering, const gpualloc_device *gpu)
{
	int result = add(offering, gpu, gpu, -1);

	for (size_t j = 0; result == 0 && j < gpualloc_device_mig_count(gpu); j++)
		result = add(offering, gpualloc_device_mig(gpu, j), gpu, (int64_t)j);
	return result;
}

/* ---- the whole ---- */

static bool is_its_gpu(const struct unit *unit, const gpualloc_device *gpu)
{
	const char *pci = gpualloc_device_pci(gpu);

	return *unit->pci && pci ? strcmp(unit->pci, pci) == 0
				 : gpualloc_device_index(gpu) == unit->gpu;
}

/*
 * A GPU that is not seen may come back, and so may the instances of one that is sick; what is not
 * there although its GPU is fine was taken away by the administrator.
 */
static bool is_taken_away(const struct unit *unit, const gpualloc_machine *machine)
{
	for (size_t i = 0; i < gpualloc_machine_device_count(machine); i++) {
		const gpualloc_device *gpu = gpualloc_machine_device(machine, i);

		if (is_its_gpu(unit, gpu))
			return gpualloc_device_health(gpu) == GPUALLOC_HEALTH_OK &&
			       (unit->instance >= 0 || gpualloc_device_mig_enabled(gpu) == 1);
	}
	return false;
}

static void drop_taken_away(struct inventory *inventory)
{
	size_t kept = 0;

	for (size_t i = 0; i < inventory->count; i++) {
		struct unit *unit = &inventory->units[i];

		if (unit->is_missing && !unit->is_ours && is_taken_away(unit, inventory->machine))
			continue;
		if (unit->is_missing)
			(void)snprintf(unit->reason, sizeof unit->reason,
				       "the driver does not show it any more");
		inventory->units[kept++] = *unit;
	}
	inventory->count = kept;
}

static int by_index(const void *a, const void *b)
{
	const struct unit *one = a, *other = b;

	if (one->gpu != other->gpu)
		return one->gpu < other->gpu ? -1 : 1;
	if (one->instance != other->instance)
		return one->instance < other->instance ? -1 : 1;
	return strcmp(one->uuid, other->uuid);
}

int inventory_update(struct inventory *inventory, gpualloc_machine *machine,
		     const struct settings *settings, int64_t began_at, const char *excluded,
		     gpualloc_error *error)
{
	struct offering offering = {.machine = machine,
				    .settings = settings,
				    .inventory = inventory,
				    .began_at = began_at,
				    .excluded = excluded};
	int result = 0;

	gpualloc_machine_free(inventory->machine);
	inventory->machine = machine;
	inventory->is_blind = false;
	inventory->without_uuid = 0;
	for (size_t i = 0; i < inventory->count; i++) {
		inventory->units[i].is_missing = true;
		inventory->units[i].number = -1;
	}
	look_for_profile(&offering);
	for (size_t i = 0; result == 0 && i < gpualloc_machine_device_count(machine); i++)
		result = add_gpu(&offering, gpualloc_machine_device(machine, i));
	if (result < 0)
		return ga_error_memory(error);
	drop_taken_away(inventory);
	if (inventory->count)
		qsort(inventory->units, inventory->count, sizeof *inventory->units, by_index);
	return 0;
}

int64_t unit_heals_at(const struct unit *unit, const struct settings *settings)
{
	return unit->sick_at < 0 || unit->is_sick ? -1 : unit->sick_at + settings->recover_ms;
}

/* It does not count where it may be by the pod that has it, or had it when that was looked at. */
static bool is_used_by_others(const struct unit *unit, const struct settings *settings)
{
	return unit->is_used && !unit->is_ours && unit->let_go_at < unit->probed_at &&
	       !settings->offer_in_use;
}

bool unit_is_healthy(struct unit *unit, const struct inventory *inventory,
		     const struct settings *settings, int64_t now)
{
	const char *why = NULL;

	if (inventory->is_blind)
		why = "the driver does not answer";
	else if (unit->is_leased)
		why = "it is leased outside Kubernetes";
	else if (!unit->is_missing && !unit->is_sick && !unit->is_withheld &&
		 !is_used_by_others(unit, settings) && unit_heals_at(unit, settings) <= now)
		return true;
	if (why)
		(void)snprintf(unit->reason, sizeof unit->reason, "%s", why);
	return false;
}
