/* SPDX-License-Identifier: Apache-2.0 */
/* Leases noted on a machine's devices; see leases.h. */
#include "leases.h"

#include "device_state.h"
#include "gaps.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct noting {
	const struct ga_store *store;
	const struct ga_nest *nest;
	gpualloc_machine *machine;
	struct ga_records records;
	bool records_read;                 /* done only when something is held */
	const struct gpualloc_held **held; /* by record, as the machine has it; NULL: not yet */
	bool untouched; /* nobody has any of the GPU, on any level: usually so, and one look tells
			 */
	struct gpualloc_device *device;
	bool to_lease; /* bar what cannot be leased */
	gpualloc_error *error;
};

static const char *uuid_of_gpu(const gpualloc_device *device)
{
	return device->parent ? device->parent->uuid : device->uuid;
}

static bool holds(struct ga_range outer, struct ga_range inner)
{
	return outer.start <= inner.start &&
	       inner.start + inner.length <= outer.start + outer.length;
}

/* A record says whatever its writer likes: only ranges that really lie in this device count. */
static bool keep_ranges_in(struct ga_range whole, struct ga_room *room)
{
	off_t start = room->range.start, end = start + room->range.length;

	for (size_t r = 0; room->pieces && r < room->count; r++)
		if (!holds(whole, room->pieces[r]))
			return false;
	if (!ga_range_meets(room->range, whole))
		return false;
	start = start > whole.start ? start : whole.start;
	end = end < whole.start + whole.length ? end : whole.start + whole.length;
	room->range = (struct ga_range){start, end - start};
	room->is_part = room->pieces || !holds(room->range, whole);
	return true;
}

bool ga_leases_room(const gpualloc_device *device, const struct ga_nest *nest, bool share,
		    struct ga_room *ret_room)
{
	const struct ga_room *outer = nest->rooms ? ga_nest_room(nest, device->uuid) : NULL;
	struct ga_room room = outer ? *outer : (struct ga_room){.count = 1};
	struct ga_range whole;

	if (!device->uuid || !uuid_of_gpu(device) || (nest->rooms && !outer) ||
	    (share && !ga_device_is_placed(device)))
		return false;
	whole = ga_ledger_device(device, outer ? ga_ledger_level(room.range) : 0);
	if (!outer)
		room.range = whole;
	else if (!keep_ranges_in(whole, &room))
		return false;
	/* Inside a lease of the whole device, a budget goes where budgets always go. */
	if (share && !room.is_part)
		room.range = ga_ledger_memory(device, ga_ledger_level(whole), 0,
					      ga_device_promisable(device) >> 20);
	room.uuid = device->uuid;
	*ret_room = room;
	return true;
}

/* ---- one device ---- */

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

/* The record as the machine has it; NULL when out of memory. */
static const struct gpualloc_held *held_of(struct noting *noting, size_t record)
{
	struct gpualloc_held *held;

	if (noting->held[record])
		return noting->held[record];
	held = ga_machine_add_held(noting->machine);
	if (!held || ga_held_of_record(&noting->records.list[record], held) < 0)
		return NULL;
	return noting->held[record] = held;
}

/* Of Kubernetes: whatever a record says, only root's can be. */
static bool is_of_agent(const struct ga_record *record)
{
	return record->uid == 0 && ga_text_same(record->command, "gpualloc-k8s");
}

/* One lease may have several ranges of the device. */
static int add_holder(struct noting *noting, size_t record)
{
	struct gpualloc_device *device = noting->device;
	struct ga_device_lease *lease = &device->lease;
	const struct gpualloc_held *held = held_of(noting, record), **holders;

	for (size_t i = 0; held && i < lease->holder_count; i++)
		if (lease->holders[i] == held)
			return 0;
	holders = held ? reallocarray(lease->holders, lease->holder_count + 1, sizeof *holders)
		       : NULL;
	if (!holders)
		return GPUALLOC_ENOMEM;
	lease->holders = holders;
	holders[lease->holder_count++] = held;
	lease->by_pods = lease->by_pods || is_of_agent(&noting->records.list[record]);
	return add_user(device, noting->records.list[record].user) ? 0 : GPUALLOC_ENOMEM;
}

static int read_records(struct noting *noting)
{
	int result = ga_records_read(noting->store, &noting->records, noting->error);

	if (result < 0)
		return result;
	noting->held = calloc(noting->records.count + 1, sizeof *noting->held);
	if (!noting->held)
		return ga_error_memory(noting->error);
	noting->records_read = true;
	return 0;
}

static int note_part(void *context, struct ga_range part)
{
	struct noting *noting = context;
	int result = noting->records_read ? 0 : read_records(noting);

	if (result < 0)
		return result;
	noting->device->lease.held = true;
	for (size_t i = 0; i < noting->records.count; i++)
		if (ga_record_meets(&noting->records.list[i], part) && add_holder(noting, i) < 0)
			return ga_error_memory(noting->error);
	return 0;
}

/*
 * Notes everybody who has some of it, on its level and deeper: a lease inside a lease that has
 * ended counts as one of its own.
 */
static int note_range(struct noting *noting, struct ga_range range)
{
	int result = 0;

	for (unsigned more = 0; result == 0 && ga_ledger_level(range) + more < GA_LEVELS; more++)
		result = ga_ledger_probe(noting->store->probe, ga_ledger_deeper(range, more),
					 note_part, noting);
	return result;
}

static int note_holders(struct noting *noting, const struct ga_room *room)
{
	const struct ga_range *ranges = ga_room_ranges(room);
	struct ga_range rivals = ga_ledger_rivals(*ranges);
	int result = 0;

	for (size_t r = 0; result == 0 && r < room->count; r++)
		result = note_range(noting, ranges[r]);
	return result == 0 && rivals.length > 0 ? note_range(noting, rivals) : result;
}

/*
 * What is left for budgets, counted as a claim will count it. Inside a budget, the free part of its
 * pieces; else the device's memory minus everything that is held of it, wherever that lies.
 */
static int count_left(struct noting *noting, const struct ga_room *room, struct ga_gaps *gaps,
		      off_t *ret_left)
{
	const struct ga_range *ranges = ga_room_ranges(room);
	int probe = noting->store->probe, result = 0;
	struct ga_range all;

	for (size_t r = 0; result == 0 && room->is_part && r < room->count; r++)
		result = ga_gaps_add(probe, ranges[r], gaps, noting->error);
	*ret_left = gaps->sum;
	if (result < 0 || room->is_part)
		return result;
	all = ga_ledger_memory(noting->device, ga_ledger_level(*ranges), 0, INT64_MAX);
	result = ga_gaps_add(probe, all, gaps, noting->error);
	*ret_left = ranges->length - (all.length - gaps->sum);
	return result;
}

static int note_left(struct noting *noting)
{
	struct ga_device_lease *lease = &noting->device->lease;
	ga_auto_gaps struct ga_gaps gaps = {0};
	struct ga_room room;
	off_t left = 0, most = 0;
	int result;

	lease->whole = lease->held;
	if (!ga_leases_room(noting->device, noting->nest, true, &room))
		return 0;
	result = count_left(noting, &room, &gaps, &left);
	if (result < 0)
		return result;
	if (ga_ledger_has_rival(noting->store->probe, *ga_room_ranges(&room)) != 0)
		left = gaps.sum = 0;
	for (size_t r = 0; r < room.count; r++)
		most += ga_room_ranges(&room)[r].length;
	lease->whole = lease->held && gaps.sum == 0;
	lease->left = left > 0 ? left << 20 : 0;
	lease->most = room.is_part ? most << 20 : GA_UNKNOWN;
	return 0;
}

static int bar(struct noting *noting, struct gpualloc_device *device)
{
	char text[96];

	if (noting->nest->rooms)
		(void)snprintf(text, sizeof text,
			       "not part of lease %s, in which this program runs",
			       noting->nest->id);
	else if (noting->to_lease)
		(void)snprintf(text, sizeof text,
			       "it has no UUID, and a device without one cannot be leased");
	else
		return 0;
	return ga_set_text(&device->lease.barred, text) < 0 ? ga_error_memory(noting->error) : 0;
}

static int note_device(struct noting *noting, struct gpualloc_device *device)
{
	struct ga_room room;
	int result;

	noting->device = device;
	if (!ga_leases_room(device, noting->nest, false, &room))
		return bar(noting, device);
	if (noting->untouched)
		return 0;
	result = note_holders(noting, &room);
	if (result == 0 && (device->lease.held || noting->nest->rooms))
		result = note_left(noting);
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
	if (!gpu->mig_enabled)
		result = note_device(noting, gpu);
	for (size_t m = 0; result == 0 && m < gpu->mig_count; m++)
		result = note_device(noting, &gpu->mig[m]);
	return result;
}

int ga_leases_note(const struct ga_store *store, gpualloc_machine *machine,
		   const struct ga_nest *nest, bool to_lease, gpualloc_error *error)
{
	struct noting noting = {.store = store,
				.nest = nest,
				.machine = machine,
				.to_lease = to_lease,
				.error = error};
	int result = 0;

	ga_machine_forget_leases(machine);
	for (size_t i = 0; result == 0 && i < machine->device_count; i++)
		result = note_gpu(&noting, &machine->devices[i]);
	ga_records_free(&noting.records);
	free(noting.held);
	return result;
}
