/* SPDX-License-Identifier: Apache-2.0 */
/* From units and sets to devices, counters and slices; see offer.h. */
#include "offer.h"

#include "clock.h"
#include "error.h"
#include "root.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

enum { GPU_COUNTER = 8, MILLI = 1000, TEXT_MOST = 64 /* of an attribute */, UUIDS_MOST = 16 };

/* ---- sets ---- */

void offer_sets_free(struct offer_sets *sets)
{
	free(sets->list);
	free(sets->alone);
	free(sets->uuids);
	*sets = (struct offer_sets){0};
}

static bool is_whole(const struct unit *unit)
{
	return unit->instance < 0;
}

static uint32_t labels_of(uint32_t members, const struct unit *const *units, size_t count)
{
	uint32_t labels = 0;

	for (size_t i = 0; i < count && i < SET_MOST; i++)
		if (members >> i & 1)
			labels |= units[i]->label < SET_MOST ? 1U << units[i]->label : 0;
	return labels;
}

/* A set one of whose labels has no bit is left out. */
static int translate(const struct ranked_sets *found, const struct unit *const *units,
		     struct offer_sets *sets)
{
	sets->list = calloc(found->count + 1, sizeof *sets->list);
	sets->alone = calloc(found->gpus + 1, sizeof *sets->alone);
	sets->uuids = calloc(found->gpus + 1, sizeof *sets->uuids);
	if (!sets->list || !sets->alone || !sets->uuids)
		return GPUALLOC_ENOMEM;
	for (size_t i = 0; i < found->count; i++) {
		struct ranked_set *set = &sets->list[sets->count];

		*set = found->list[i];
		set->members = labels_of(set->members, units, found->gpus);
		sets->count += (uint32_t)__builtin_popcount(set->members) == set->size;
	}
	sets->gpus = found->gpus;
	for (size_t i = 0; i < found->gpus; i++) {
		sets->alone[i] = units[found->alone[i]]->label;
		memcpy(sets->uuids[i], units[i]->uuid, UNIT_ID);
	}
	return 0;
}

int offer_sets_make(const struct inventory *inventory, struct offer_sets *ret_sets,
		    gpualloc_error *error)
{
	ga_auto_free const struct unit **units = calloc(inventory->count + 1, sizeof *units);
	ga_auto_free size_t *numbers = calloc(inventory->count + 1, sizeof *numbers);
	struct offer_sets sets = {0};
	struct ranked_sets found = {0};
	size_t count = 0;
	int result;

	if (!units || !numbers)
		return ga_error_memory(error);
	for (size_t i = 0; i < inventory->count; i++)
		if (is_whole(&inventory->units[i]) && inventory->units[i].number >= 0) {
			units[count] = &inventory->units[i];
			numbers[count++] = (size_t)inventory->units[i].number;
		}
	result = ranked_sets_make(inventory->machine, numbers, count, &found, error);
	if (result == 0 && translate(&found, units, &sets) < 0)
		result = ga_error_memory(error);
	ranked_sets_free(&found);
	if (result < 0)
		offer_sets_free(&sets);
	else
		*ret_sets = sets;
	return result;
}

static bool is_known(const struct offer_sets *sets, const char *uuid)
{
	for (size_t i = 0; i < sets->gpus; i++)
		if (strcmp(sets->uuids[i], uuid) == 0)
			return true;
	return false;
}

bool offer_sets_fit(const struct offer_sets *sets, const struct inventory *inventory)
{
	if (!sets->uuids)
		return false;
	for (size_t i = 0; i < inventory->count; i++)
		if (is_whole(&inventory->units[i]) && inventory->units[i].number >= 0 &&
		    !is_known(sets, inventory->units[i].uuid))
			return false;
	/* One that is lost stays among them: it may come back. */
	for (size_t i = 0; i < sets->gpus; i++)
		if (!inventory_find(inventory, sets->uuids[i]))
			return false;
	return true;
}

/* ---- attributes ---- */

static void set_text(json_t *attributes, const char *name, const char *text)
{
	if (text && *text && strlen(text) <= TEXT_MOST)
		(void)json_object_set_new(attributes, name, json_pack("{s:s}", "string", text));
}

static void set_number(json_t *attributes, const char *name, int64_t number)
{
	if (number >= 0)
		(void)json_object_set_new(attributes, name,
					  json_pack("{s:I}", "int", (json_int_t)number));
}

/* "535.129.03" as a version by the rules of semver. */
static void set_version(json_t *attributes, const char *name, const char *version)
{
	int64_t parts[3] = {0};
	char text[TEXT_MOST];

	for (size_t i = 0; version && i < 3; i++) {
		if (!ga_text_take_number(&version, INT32_MAX, &parts[i]))
			return;
		if (*version == '.')
			version++;
		else if (*version)
			return;
		else
			break;
	}
	if (!version || *version)
		return;
	(void)snprintf(text, sizeof text, "%lld.%lld.%lld", (long long)parts[0],
		       (long long)parts[1], (long long)parts[2]);
	(void)json_object_set_new(attributes, name, json_pack("{s:s}", "version", text));
}

/* As Kubernetes itself writes a quantity, so that what comes back is what was sent. */
static void set_memory(json_t *device, int64_t bytes)
{
	static const char *const units[] = {"", "Ki", "Mi", "Gi", "Ti"};
	char text[32];
	size_t unit = 0;

	if (bytes <= 0)
		return;
	for (; bytes % 1024 == 0 && unit < 4; unit++)
		bytes /= 1024;
	(void)snprintf(text, sizeof text, "%lld%s", (long long)bytes, units[unit]);
	(void)json_object_set_new(device, "capacity",
				  json_pack("{s:{s:s}}", "memory", "value", text));
}

/* ---- counters ---- */

static void name_of_counters(int64_t label, char text[static NAME_SIZE])
{
	(void)snprintf(text, NAME_SIZE, "gpus-%lld", (long long)(label / OFFER_COUNTERS));
}

static json_t *quantity(int64_t milli)
{
	char text[32];

	(void)snprintf(text, sizeof text, milli % MILLI ? "%lldm" : "%lld",
		       (long long)(milli % MILLI ? milli : milli / MILLI));
	return json_pack("{s:s}", "value", text);
}

/* Adds to the entry of the counter set that the GPU's counter is in. */
static void consume(json_t *device, int64_t label, int64_t milli)
{
	json_t *list = json_object_get(device, "consumesCounters"), *entry = NULL;
	char set[NAME_SIZE], counter[NAME_SIZE];

	name_of_counters(label, set);
	(void)snprintf(counter, sizeof counter, "gpu-%lld", (long long)label);
	if (!list) {
		list = json_array();
		(void)json_object_set_new(device, "consumesCounters", list);
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *one = json_array_get(list, i);

		if (strcmp(json_string_value(json_object_get(one, "counterSet")), set) == 0)
			entry = one;
	}
	if (!entry) {
		entry = json_pack("{s:s, s:{}}", "counterSet", set, "counters");
		(void)json_array_append_new(list, entry);
	}
	(void)json_object_set_new(json_object_get(entry, "counters"), counter, quantity(milli));
}

static json_t *counter_set(const struct inventory *inventory, int64_t first)
{
	json_t *counters = json_object();
	char name[NAME_SIZE];

	for (size_t i = 0; i < inventory->count; i++) {
		int64_t label = inventory->units[i].label;

		(void)snprintf(name, sizeof name, "gpu-%lld", (long long)label);
		if (label / OFFER_COUNTERS == first / OFFER_COUNTERS)
			(void)json_object_set_new(counters, name,
						  quantity((int64_t)GPU_COUNTER * MILLI));
	}
	name_of_counters(first, name);
	if (json_object_size(counters) > 0)
		return json_pack("{s:s, s:o}", "name", name, "counters", counters);
	json_decref(counters);
	return NULL;
}

json_t *offer_counter_sets(const struct offer *offer)
{
	const struct inventory *inventory = offer->inventory;
	json_t *sets = json_array();
	int64_t last = -1;

	for (size_t i = 0; i < inventory->count; i++)
		last = inventory->units[i].label > last ? inventory->units[i].label : last;
	for (int64_t first = 0; first <= last; first += OFFER_COUNTERS) {
		json_t *set = counter_set(inventory, first);

		if (set)
			(void)json_array_append_new(sets, set);
	}
	return sets;
}

/* ---- health ---- */

const char *offer_why_not(const struct offer *offer, struct unit *unit)
{
	if (unit_is_healthy(unit, offer->inventory, offer->settings, offer->now))
		return NULL;
	if (offer->inventory->is_blind)
		return "driver-silent";
	if (unit->is_leased)
		return "leased";
	if (unit->is_missing)
		return "missing";
	if (unit->is_sick || unit_heals_at(unit, offer->settings) > offer->now)
		return "unhealthy";
	return unit->is_withheld ? "excluded" : "in-use";
}

void offer_taint(const struct settings *settings, json_t *device, const char *why)
{
	char key[SETTINGS_TEXT + 16];

	(void)snprintf(key, sizeof key, "%s/unavailable", settings->driver);
	(void)json_object_set_new(
		device, "taints",
		json_pack("[{s:s, s:s, s:s}]", "key", key, "value", why, "effect", "NoSchedule"));
}

/* ---- devices ---- */

static const gpualloc_device *device_of(const struct offer *offer, const struct unit *unit)
{
	const gpualloc_machine *machine = offer->inventory->machine;

	for (size_t i = 0; i < gpualloc_machine_device_count(machine); i++) {
		const gpualloc_device *gpu = gpualloc_machine_device(machine, i);

		if (ga_text_same(gpualloc_device_uuid(gpu), unit->uuid))
			return gpu;
		for (size_t j = 0; j < gpualloc_device_mig_count(gpu); j++)
			if (ga_text_same(gpualloc_device_uuid(gpualloc_device_mig(gpu, j)),
					 unit->uuid))
				return gpualloc_device_mig(gpu, j);
	}
	return NULL;
}

static void set_place(const struct offer *offer, json_t *attributes, const struct unit *unit)
{
	char text[ROOT_SIZE];

	set_number(attributes, "numaNode", unit->numa);
	if (pci_bus_id(unit->pci, text))
		set_text(attributes, "resource.kubernetes.io/pciBusID", text);
	if (offer->sys && pcie_root(offer->sys, unit->pci, text))
		set_text(attributes, "resource.kubernetes.io/pcieRoot", text);
}

/* Memory slices of an instance, in thousandths, shared by those of one GPU instance. */
static int64_t slices_of(const struct offer *offer, const struct unit *unit)
{
	const gpualloc_device *device = device_of(offer, unit);
	const gpualloc_device *gpu = device ? gpualloc_device_parent(device) : NULL;
	int64_t total = gpu ? gpualloc_device_memory_total(gpu) : -1;
	int64_t memory = device ? gpualloc_device_memory_total(device) : -1;
	int64_t siblings = 0, sharers = 0, slices;

	for (size_t i = 0; i < offer->inventory->count; i++) {
		const struct unit *one = &offer->inventory->units[i];

		siblings += !is_whole(one) && one->label == unit->label;
		sharers += !is_whole(one) && one->label == unit->label && one->gi == unit->gi;
	}
	if (memory <= 0 || total <= 0 || memory > total)
		return (int64_t)GPU_COUNTER * MILLI / siblings;
	slices = (memory * GPU_COUNTER + total / 2) / total;
	return (slices > 0 ? slices : 1) * MILLI / sharers;
}

/* What all instances of the GPU may consume at most, whatever they say. */
static int64_t limit_slices(const struct offer *offer, const struct unit *unit)
{
	int64_t sum = 0, siblings = 0;

	for (size_t i = 0; i < offer->inventory->count; i++)
		if (!is_whole(&offer->inventory->units[i]) &&
		    offer->inventory->units[i].label == unit->label) {
			sum += slices_of(offer, &offer->inventory->units[i]);
			siblings++;
		}
	return sum <= (int64_t)GPU_COUNTER * MILLI ? slices_of(offer, unit)
						   : (int64_t)GPU_COUNTER * MILLI / siblings;
}

static json_t *unit_device(const struct offer *offer, struct unit *unit)
{
	const gpualloc_device *device = device_of(offer, unit);
	const gpualloc_device *gpu = device ? gpualloc_device_parent(device) : NULL;
	json_t *attributes = json_object(), *result;
	const char *why = offer_why_not(offer, unit);
	char name[NAME_SIZE];

	name_of_unit(unit, name);
	result = json_pack("{s:s, s:o}", "name", name, "attributes", attributes);
	set_text(attributes, "type", is_whole(unit) ? "gpu" : "mig");
	set_text(attributes, "uuid", unit->uuid);
	/* On instances too: a selector that asks for what is not there makes the claim fail. */
	set_number(attributes, "gpus", is_whole(unit) ? 1 : 0);
	set_place(offer, attributes, unit);
	if (device) {
		set_text(attributes, "productName", gpualloc_device_name(gpu ? gpu : device));
		set_text(attributes, "profile", gpualloc_device_profile(device));
		set_text(attributes, "parentUUID", gpu ? gpualloc_device_uuid(gpu) : NULL);
		set_version(attributes, "driverVersion",
			    gpualloc_machine_driver(offer->inventory->machine));
		set_memory(result, gpualloc_device_memory_total(device));
	}
	consume(result, unit->label,
		is_whole(unit) ? (int64_t)GPU_COUNTER * MILLI : limit_slices(offer, unit));
	if (why)
		offer_taint(offer->settings, result, why);
	return result;
}

/* Facts that hold for all members. */
struct common {
	const char *model;
	int64_t numa, memory;
	char root[ROOT_SIZE];
	bool is_new;
};

static void add_member(const struct offer *offer, struct common *common, const struct unit *unit)
{
	const gpualloc_device *device = device_of(offer, unit);
	const char *model = device ? gpualloc_device_name(device) : NULL;
	int64_t memory = device ? gpualloc_device_memory_total(device) : -1;
	char root[ROOT_SIZE] = "";

	if (offer->sys)
		(void)pcie_root(offer->sys, unit->pci, root);
	if (common->is_new) {
		*common = (struct common){.model = model, .numa = unit->numa};
		memcpy(common->root, root, sizeof root);
	}
	if (!ga_text_same(common->model, model))
		common->model = NULL;
	if (common->numa != unit->numa)
		common->numa = -1;
	if (strcmp(common->root, root) != 0)
		*common->root = '\0';
	common->memory = memory < 0 || common->memory < 0 ? -1 : common->memory + memory;
}

static json_t *set_device(const struct offer *offer, const struct ranked_set *set)
{
	json_t *attributes = json_object(), *result;
	struct common common = {.is_new = true};
	char name[NAME_SIZE];
	size_t place = 0;

	name_of_set(set->members, name);
	result = json_pack("{s:s, s:o}", "name", name, "attributes", attributes);
	set_text(attributes, "type", "set");
	set_number(attributes, "gpus", set->size);
	set_number(attributes, "bandwidth", set->bandwidth);
	for (size_t i = 0; i < offer->inventory->count; i++) {
		struct unit *unit = &offer->inventory->units[i];
		const char *why;

		if (!is_whole(unit) || unit->label >= SET_MOST ||
		    !(set->members >> unit->label & 1))
			continue;
		(void)snprintf(name, sizeof name, "uuid%zu", place++);
		if (set->size <= UUIDS_MOST)
			set_text(attributes, name, unit->uuid);
		consume(result, unit->label, (int64_t)GPU_COUNTER * MILLI);
		add_member(offer, &common, unit);
		why = offer_why_not(offer, unit);
		if (why && !json_object_get(result, "taints"))
			offer_taint(offer->settings, result, why);
	}
	/*
	 * The allocator of 1.36 subtracts a device's counters before it looks at its taints, and
	 * keeps them if these forbid it: healthy sets behind it would not fit any more. A selector
	 * by the number of GPUs comes before both.
	 */
	if (json_object_get(result, "taints"))
		set_number(attributes, "gpus", 0);
	set_text(attributes, "productName", common.model);
	set_number(attributes, "numaNode", common.numa);
	set_text(attributes, "resource.kubernetes.io/pcieRoot", common.root);
	set_memory(result, common.memory);
	return result;
}

static bool is_in(const struct offer_sets *sets, int64_t label)
{
	for (size_t i = 0; i < sets->gpus; i++)
		if (sets->alone[i] == label)
			return true;
	return false;
}

static size_t count_counters(const json_t *device)
{
	const json_t *list = json_object_get(device, "consumesCounters");
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(list); i++)
		count += json_object_size(json_object_get(json_array_get(list, i), "counters"));
	return count;
}

/*
 * Takes the device over. One without all its counters could be given out beside others; that
 * happens when memory is short, and is an error.
 */
static int append_device(json_t *devices, json_t *device, size_t gpus)
{
	int result = count_counters(device) == gpus && json_object_get(device, "name") &&
				     json_array_append(devices, device) == 0
			     ? 0
			     : GPUALLOC_ENOMEM;

	json_decref(device);
	return result;
}

static int append_gpus(const struct offer *offer, json_t *devices, int64_t label)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < offer->inventory->count; i++) {
		struct unit *unit = &offer->inventory->units[i];

		if (is_whole(unit) &&
		    (label < 0 ? !is_in(offer->sets, unit->label) : unit->label == label))
			result = append_device(devices, unit_device(offer, unit), 1);
	}
	return result;
}

/* How many of the set's GPUs are there. */
static size_t count_gpus(const struct inventory *inventory, const struct ranked_set *set)
{
	size_t count = 0;

	for (size_t i = 0; i < inventory->count; i++)
		count += is_whole(&inventory->units[i]) && inventory->units[i].label < SET_MOST &&
			 (set->members >> inventory->units[i].label & 1);
	return count;
}

static int append_set(const struct offer *offer, json_t *devices, const struct ranked_set *set)
{
	json_t *device;

	/* They are not of this inventory any more; new ones are being made. */
	if (count_gpus(offer->inventory, set) != set->size)
		return 0;
	device = set_device(offer, set);
	/* More counter sets than the API allows cannot be consumed. */
	if (json_array_size(json_object_get(device, "consumesCounters")) > OFFER_SETS_DEVICE) {
		json_decref(device);
		return 0;
	}
	return append_device(devices, device, set->size);
}

json_t *offer_devices(const struct offer *offer)
{
	json_t *devices = json_array();
	int result = devices ? 0 : GPUALLOC_ENOMEM;

	for (size_t i = 0; result == 0 && i < offer->sets->gpus; i++)
		result = append_gpus(offer, devices, offer->sets->alone[i]);
	/* Those that were not there when the order was made: lost ones. */
	if (result == 0)
		result = append_gpus(offer, devices, -1);
	for (size_t i = 0; result == 0 && i < offer->inventory->count; i++)
		if (!is_whole(&offer->inventory->units[i]))
			result = append_device(devices,
					       unit_device(offer, &offer->inventory->units[i]), 1);
	for (size_t i = 0; result == 0 && i < offer->sets->count; i++)
		result = append_set(offer, devices, &offer->sets->list[i]);
	if (result < 0)
		json_decref(ga_steal(&devices));
	return devices;
}

/* ---- slices ---- */

/* In the order of the list, in pieces. */
static void append_slices(json_t *slices, const char *what, json_t *list, size_t most)
{
	for (size_t i = 0; i < json_array_size(list); i += most) {
		json_t *piece = json_array();

		for (size_t j = i; j < json_array_size(list) && j < i + most; j++)
			(void)json_array_append(piece, json_array_get(list, j));
		(void)json_array_append_new(slices, json_pack("{s:o}", what, piece));
	}
}

/* A name's last part sorts as its number does. */
static void slice_name(const struct settings *settings, size_t number, char *name, size_t size)
{
	size_t most = 253 - 3 - strlen(settings->driver) - 1;
	uint64_t sum = UINT64_C(14695981039346656037);

	for (const char *c = settings->node; *c; c++)
		sum = (sum ^ (unsigned char)*c) * UINT64_C(1099511628211);
	if (strlen(settings->node) <= most) {
		(void)snprintf(name, size, "%s-%s-%02zu", settings->node, settings->driver, number);
		return;
	}
	/* A part of a name must not end with a dot. */
	for (most -= 17; settings->node[most - 1] == '.' || settings->node[most - 1] == '-';)
		most--;
	(void)snprintf(name, size, "%.*s-%016llx-%s-%02zu", (int)most, settings->node,
		       (unsigned long long)sum, settings->driver, number);
}

static json_t *slice_of(const struct settings *settings, const char *name, json_t *spec,
			int64_t generation, size_t count)
{
	int failed = json_object_update_new(
		spec,
		json_pack("{s:s, s:s, s:{s:s, s:I, s:I}}", "driver", settings->driver, "nodeName",
			  settings->node, "pool", "name", settings->node, "generation",
			  (json_int_t)generation, "resourceSliceCount", (json_int_t)count));

	return failed ? NULL
		      : json_pack("{s:s, s:s, s:{s:s}, s:O}", "apiVersion", "resource.k8s.io/v1",
				  "kind", "ResourceSlice", "metadata", "name", name, "spec", spec);
}

/* Whether nothing got lost on the way, for want of memory. */
static bool is_whole_list(const json_t *slices, const char *what, const json_t *list)
{
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(slices); i++)
		count += json_array_size(
			json_object_get(json_object_get(json_array_get(slices, i), "spec"), what));
	return count == json_array_size(list);
}

json_t *offer_slices(const struct settings *settings, json_t *counter_sets, json_t *devices,
		     int64_t generation)
{
	json_t *specs = json_array(), *slices = json_array();

	append_slices(specs, "sharedCounters", counter_sets, OFFER_SETS);
	append_slices(specs, "devices", devices, OFFER_DEVICES);
	for (size_t i = 0; i < json_array_size(specs); i++) {
		char name[512];

		slice_name(settings, i, name, sizeof name);
		(void)json_array_append_new(slices,
					    slice_of(settings, name, json_array_get(specs, i),
						     generation, json_array_size(specs)));
	}
	json_decref(specs);
	if (!is_whole_list(slices, "sharedCounters", counter_sets) ||
	    !is_whole_list(slices, "devices", devices))
		json_decref(ga_steal(&slices));
	return slices;
}

/* ---- for people ---- */

static int print(const struct offer *offer, struct ga_buffer *text, gpualloc_error *error)
{
	json_t *sets = offer_counter_sets(offer), *devices = offer_devices(offer);
	json_t *list = json_pack("{s:s, s:s, s:o}", "apiVersion", "v1", "kind", "List", "items",
				 offer_slices(offer->settings, sets, devices, 1));
	ga_auto_free char *dump = list ? json_dumps(list, JSON_INDENT(1)) : NULL;

	json_decref(sets);
	json_decref(devices);
	json_decref(list);
	if (!dump)
		return ga_error_memory(error);
	ga_buffer_text(text, dump);
	ga_buffer_char(text, '\n');
	return text->failed ? ga_error_memory(error) : 0;
}

int offer_print(const struct settings *settings, struct ga_buffer *text, gpualloc_error *error)
{
	struct inventory inventory = {0};
	gpualloc_machine *machine = NULL;
	struct offer_sets sets = {0};
	struct offer offer = {&inventory, &sets, settings, NULL, ga_clock_ms()};
	int result = gpualloc_machine_open(*settings->machine ? settings->machine : NULL, 0,
					   &machine, error);

	if (result < 0)
		return result;
	offer.sys = gpualloc_machine_is_here(machine) ? "/sys" : NULL;
	result = inventory_update(&inventory, machine, settings, offer.now, "", error);
	if (result == 0 && inventory.count == 0)
		result = ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
				      "there is no device to publish on this machine%s",
				      settings->mig == MIG_NONE
					      ? ": GPUs in MIG mode are not, without --mig mixed"
					      : "");
	if (result == 0)
		result = offer_sets_make(&inventory, &sets, error);
	if (result == 0)
		result = print(&offer, text, error);
	offer_sets_free(&sets);
	inventory_free(&inventory);
	return result;
}
