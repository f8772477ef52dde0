/* SPDX-License-Identifier: Apache-2.0 */
/* Inside a lease or not; see nest.h. */
#include "nest.h"

#include "text.h"

#include <limits.h>
#include <string.h>

void ga_nest_free(struct ga_nest *nest)
{
	for (size_t i = 0; i < nest->room_count; i++) {
		union {
			const char *kept;
			void *given;
		} uuid = {.kept = nest->rooms[i].uuid};

		free(uuid.given);
	}
	free(nest->rooms);
	*nest = (struct ga_nest){0};
}

const struct ga_room *ga_nest_room(const struct ga_nest *nest, const char *uuid)
{
	for (size_t i = 0; i < nest->room_count; i++)
		if (ga_text_same(nest->rooms[i].uuid, uuid))
			return &nest->rooms[i];
	return NULL;
}

/* The descriptor the environment names, where it is one of this ledger; else -1. */
static int named_descriptor(const struct ga_store *store)
{
	const char *text = secure_getenv("GPUALLOC_FD");
	int64_t number;

	if (!text || !ga_text_number(text, strlen(text), INT_MAX, &number) ||
	    !ga_store_is_ledger(store, (int)number))
		return -1;
	return (int)number;
}

bool ga_nest_is_held_through(const struct ga_store *store, int fd, struct ga_range range)
{
	struct ga_range part;

	return ga_ledger_is_held(store->probe, range, &part) == 1 &&
	       ga_ledger_is_held(fd, range, &part) == 0;
}

static int add_room(struct ga_nest *nest, const struct ga_piece *piece, gpualloc_error *error)
{
	struct ga_room *rooms = reallocarray(nest->rooms, nest->room_count + 1, sizeof *rooms);
	struct ga_room room = {.count = piece->count};

	if (!rooms)
		return ga_error_memory(error);
	nest->rooms = rooms;
	for (size_t r = 0; r < piece->count; r++)
		room.ranges[r] = ga_ledger_deeper(piece->ranges[r], 1);
	room.uuid = strdup(piece->uuid);
	if (!room.uuid)
		return ga_error_memory(error);
	rooms[nest->room_count++] = room;
	return 0;
}

/*
 * A record is its writer's word: only what is really held counts, and only one level deeper may be
 * asked for, of which there are eight.
 */
static int take_over(const struct ga_store *store, const struct ga_record *record,
		     struct ga_nest *nest, gpualloc_error *error)
{
	for (size_t i = 0; i < record->piece_count; i++) {
		const struct ga_piece *piece = &record->pieces[i];
		struct ga_range part;
		int result = 0;

		for (size_t r = 0; r < piece->count; r++)
			if (ga_ledger_is_held(store->probe, piece->ranges[r], &part) != 1)
				return 0;
		if (ga_ledger_level(piece->ranges[0]) + 1 >= GA_LEVELS)
			result = ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
					      "leases within leases go %d deep, and no deeper",
					      (int)GA_LEVELS);
		if (result == 0)
			result = add_room(nest, piece, error);
		if (result < 0)
			return result;
	}
	return 0;
}

int ga_nest_find(const struct ga_store *store, struct ga_nest *ret_nest, bool *ret_stale,
		 gpualloc_error *error)
{
	ga_auto_nest struct ga_nest nest = {0};
	ga_auto_record struct ga_record record = {0};
	const char *name = secure_getenv("GPUALLOC_LEASE");
	int fd, result;

	*ret_stale = false;
	if (!name || !*name)
		return 0;
	*ret_stale = true;
	if (!ga_id_parse(name, &nest.outer))
		return 0;
	fd = named_descriptor(store);
	result = ga_record_read(store, nest.outer, &record);
	if (result <= 0)
		return result < 0 ? ga_error_memory(error) : 0;
	if ((fd < 0 || !ga_nest_is_held_through(store, fd, ga_ledger_id(nest.outer))) &&
	    record.uid != geteuid())
		return 0;
	ga_id_text(nest.outer, nest.id);
	result = take_over(store, &record, &nest, error);
	if (result < 0 || nest.room_count == 0)
		return result;
	*ret_stale = false;
	*ret_nest = nest;
	nest = (struct ga_nest){0};
	return 0;
}
