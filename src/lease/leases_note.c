/* SPDX-License-Identifier: Apache-2.0 */
/* Leases noted on a machine's devices; see leases.h. */
#include "leases.h"

#include "device_state.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct noting {
	const struct ga_store *store;
	const struct ga_nest *nest;
	struct ga_records records;
	bool records_read; /* only where something is held */
	bool untouched;    /* the whole GPU, on all levels: most are, and one look tells */
	struct gpualloc_device *device;
	struct ga_range range; /* of the device, on the level that is looked at */
	off_t held;            /* bytes of it */
	bool to_lease;         /* what cannot be leased is barred */
	gpualloc_error *error;
};

static const char *uuid_of_gpu(const gpualloc_device *device)
{
	return device->parent ? device->parent->uuid : device->uuid;
}

/* A record is its writer's word: of what it calls by this name only what lies there counts. */
static bool keep_what_is_there(const gpualloc_device *device, struct ga_room *room)
{
	size_t kept = 0;

	for (size_t r = 0; r < room->count; r++) {
		struct ga_range part = room->ranges[r];
		struct ga_range whole = ga_ledger_device(device, ga_ledger_level(part));
		off_t end = whole.start + whole.length;

		if (!ga_range_meets(part, whole))
			continue;
		if (part.start + part.length < end)
			end = part.start + part.length;
		if (part.start < whole.start)
			part.start = whole.start;
		part.length = end - part.start;
		room->ranges[kept++] = part;
	}
	room->count = kept;
	return kept > 0;
}

bool ga_leases_room(const gpualloc_device *device, const struct ga_nest *nest, bool share,
		    struct ga_room *ret_room)
{
	const struct ga_room *room = nest->rooms ? ga_nest_room(nest, device->uuid) : NULL;
	struct ga_room inner = room ? *room : (struct ga_room){0};

	if (!device->uuid || !uuid_of_gpu(device) || (nest->rooms && !room))
		return false;
	if (room && !keep_what_is_there(device, &inner))
		return false;
	*ret_room = (struct ga_room){.uuid = device->uuid, .count = 1};
	ret_room->ranges[0] =
		share ? ga_ledger_memory(device, 0, 0, ga_device_promisable(device) >> 20)
		      : ga_ledger_device(device, 0);
	if (!room)
		return true;
	/* A lease of the whole has one range, of which a budget is to take the first MiBs only. */
	if (share && inner.count == 1 &&
	    inner.ranges[0].length == ga_ledger_device(device, 0).length)
		ret_room->ranges[0] =
			ga_ledger_deeper(ret_room->ranges[0], ga_ledger_level(inner.ranges[0]));
	else
		*ret_room = inner;
	ret_room->uuid = device->uuid;
	return true;
}

/* ---- one device ---- */

static bool record_meets(const struct ga_record *record, struct ga_range part)
{
	for (size_t i = 0; i < record->piece_count; i++)
		for (size_t r = 0; r < record->pieces[i].count; r++)
			if (ga_range_meets(record->pieces[i].ranges[r], part))
				return true;
	return false;
}

static int describe(const struct ga_record *record, char **ret_text)
{
	char id[GA_ID_TEXT], since[32] = "", memory[48] = "", pid[32] = "";
	time_t time = (time_t)record->since;
	struct tm local;

	ga_id_text(record->id, id);
	if (record->since >= 0 && localtime_r(&time, &local))
		(void)strftime(since, sizeof since, " since %Y-%m-%d %H:%M", &local);
	if (record->memory >= 0)
		(void)snprintf(memory, sizeof memory, ", %lld MiB of it",
			       (long long)(record->memory >> 20));
	if (record->pid >= 0)
		(void)snprintf(pid, sizeof pid, ", process %lld", (long long)record->pid);
	return asprintf(ret_text, "by %s%s%s%.60s%s%s%s (lease %s)", record->user, pid,
			record->command ? " (" : "", record->command ? record->command : "",
			record->command ? ")" : "", since, memory, id);
}

static bool add_user(struct gpualloc_device *device, const char *user)
{
	struct ga_device_lease *lease = &device->lease;
	char *users;

	if (!lease->user)
		return ga_set_text(&lease->user, user) == 0;
	if (ga_device_is_holder(device, user))
		return true;
	if (asprintf(&users, "%s,%s", lease->user, user) < 0)
		return false;
	free(lease->user);
	lease->user = users;
	return true;
}

static bool add_holder(struct gpualloc_device *device, const struct ga_record *record)
{
	struct ga_device_lease *lease = &device->lease;
	char id[GA_ID_TEXT];

	ga_id_text(record->id, id);
	if (!add_user(device, record->user))
		return false;
	if (lease->id)
		return true;
	return ga_set_text(&lease->id, id) == 0 && describe(record, &lease->reason) >= 0;
}

static int note_part(void *context, struct ga_range part)
{
	struct noting *noting = context;
	struct ga_device_lease *lease = &noting->device->lease;

	lease->held = true;
	noting->held += part.length;
	if (!noting->records_read) {
		int result = ga_records_read(noting->store, &noting->records, noting->error);

		if (result < 0)
			return result;
		noting->records_read = true;
	}
	for (size_t i = 0; i < noting->records.count; i++)
		if (record_meets(&noting->records.list[i], part) &&
		    !add_holder(noting->device, &noting->records.list[i]))
			return ga_error_memory(noting->error);
	if (!lease->reason && ga_set_text(&lease->reason, "by a holder without a record") < 0)
		return ga_error_memory(noting->error);
	return 0;
}

/* A device held whole leaves nothing; of a budget what counts is how much there is together. */
static int note_ranges(struct noting *noting, const struct ga_range *ranges, size_t count)
{
	off_t all = 0;

	noting->held = 0;
	for (size_t r = 0; r < count; r++) {
		int result = ga_ledger_probe(noting->store->probe, ranges[r], note_part, noting);

		if (result < 0)
			return result;
		all += ranges[r].length;
	}
	if (noting->held >= all)
		noting->device->lease.whole = true;
	noting->device->lease.budgets += noting->held << 20;
	return 0;
}

static bool is_held_on_any_level(const struct noting *noting, struct ga_range range,
				 unsigned levels)
{
	struct ga_range part;

	for (unsigned level = 0; level < levels; level++)
		if (ga_ledger_is_held(noting->store->probe, ga_ledger_deeper(range, level),
				      &part) != 0)
			return true;
	return false;
}

static int bar(struct noting *noting, struct gpualloc_device *device)
{
	char text[96];

	if (noting->nest->rooms)
		(void)snprintf(text, sizeof text, "not in lease %s, in which this program runs",
			       noting->nest->id);
	else if (noting->to_lease)
		(void)snprintf(text, sizeof text,
			       "it has no UUID, and what has none cannot be leased");
	else
		return 0;
	return ga_set_text(&device->lease.barred, text) < 0 ? ga_error_memory(noting->error) : 0;
}

static int note_device(struct noting *noting, struct gpualloc_device *device)
{
	struct ga_room room;
	unsigned level;
	int result = 0;

	noting->device = device;
	if (!ga_leases_room(device, noting->nest, false, &room))
		return bar(noting, device);
	if (noting->untouched)
		return 0;
	level = ga_ledger_level(room.ranges[0]);
	if (room.count == 1 && !is_held_on_any_level(noting, room.ranges[0], GA_LEVELS - level))
		return 0;
	result = note_ranges(noting, room.ranges, room.count);
	/* Leases within a lease that has ended: they count as if they were not within. */
	for (level++; result == 0 && !device->lease.whole && level < GA_LEVELS; level++) {
		int64_t budgets = device->lease.budgets;

		for (size_t r = 0; r < room.count; r++)
			room.ranges[r] = ga_ledger_deeper(room.ranges[r], 1);
		device->lease.budgets = 0;
		result = note_ranges(noting, room.ranges, room.count);
		if (device->lease.budgets < budgets)
			device->lease.budgets = budgets;
	}
	return result;
}

static bool is_untouched(const struct noting *noting, const struct gpualloc_device *gpu)
{
	struct ga_range range, part;

	if (!gpu->uuid)
		return false;
	range = ga_ledger_device(gpu, 0);
	range.length *= GA_LEVELS;
	return ga_ledger_is_held(noting->store->probe, range, &part) == 0;
}

static int note_gpu(struct noting *noting, struct gpualloc_device *gpu)
{
	int result = 0;

	noting->untouched = is_untouched(noting, gpu);
	ga_device_forget_lease(gpu);
	if (!gpu->mig_enabled)
		result = note_device(noting, gpu);
	for (size_t m = 0; m < gpu->mig_count; m++)
		ga_device_forget_lease(&gpu->mig[m]);
	for (size_t m = 0; result == 0 && m < gpu->mig_count; m++)
		result = note_device(noting, &gpu->mig[m]);
	return result;
}

int ga_leases_note(const struct ga_store *store, gpualloc_machine *machine,
		   const struct ga_nest *nest, bool to_lease, gpualloc_error *error)
{
	struct noting noting = {.store = store, .nest = nest, .to_lease = to_lease, .error = error};
	int result = 0;

	for (size_t i = 0; result == 0 && i < machine->device_count; i++)
		result = note_gpu(&noting, &machine->devices[i]);
	ga_records_free(&noting.records);
	return result;
}
