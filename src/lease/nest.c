/* SPDX-License-Identifier: Apache-2.0 */
/* Whether we are inside a lease; see nest.h. */
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
		free(nest->rooms[i].pieces);
	}
	free(nest->rooms);
	ga_record_free(&nest->record);
	*nest = (struct ga_nest){0};
}

const struct ga_room *ga_nest_room(const struct ga_nest *nest, const char *uuid)
{
	for (size_t i = 0; i < nest->room_count; i++)
		if (ga_text_same(nest->rooms[i].uuid, uuid))
			return &nest->rooms[i];
	return NULL;
}

/* The descriptor that the environment names, if it is open on this ledger; else -1. */
static int named_descriptor(const struct ga_store *store)
{
	const char *text = secure_getenv("GPUALLOC_FD");
	int64_t number;

	if (!text || !ga_text_number(text, strlen(text), INT_MAX, &number) ||
	    !ga_store_is_ledger(store, (int)number))
		return -1;
	return (int)number;
}

/* ---- proof ---- */

/* 1, 0, or a negative GPUALLOC_E…. Without the descriptor only our own user's record counts. */
static int prove(const struct ga_store *store, const struct ga_record *record,
		 struct ga_holder *ret_proof, gpualloc_error *error)
{
	struct ga_holder own = {0, named_descriptor(store)};
	int result = own.fd >= 0 ? ga_holders_check(store, record, &own) : 0;

	if (result < 0)
		return ga_error_memory(error);
	if (result > 0) {
		*ret_proof = own;
		return 1;
	}
	return record->uid == geteuid() ? ga_holders_prove(store, record, ret_proof, error) : 0;
}

int ga_nest_check(const struct ga_store *store, const struct ga_nest *nest, gpualloc_error *error)
{
	struct ga_holder other;
	int result = ga_holders_check(store, &nest->record, &nest->proof);

	if (result == 0)
		result = prove(store, &nest->record, &other, error);
	if (result > 0)
		return 0;
	if (result == GPUALLOC_ENOMEM)
		return ga_error_memory(error);
	return result < 0
		       ? result
		       : ga_error_set(error, GPUALLOC_EPERM,
				      "lease %s, in which this program runs, has ended", nest->id);
}

/*
 * Not proved: it has ended, or it is somebody else's; or it is our user's and its holders cannot be
 * seen.
 */
static int refuse_unseen(const struct ga_store *store, const struct ga_record *record,
			 gpualloc_error *error)
{
	char id[GA_ID_TEXT];
	struct ga_range part;

	if (record->uid != geteuid() ||
	    ga_ledger_is_held(store->probe, ga_ledger_id(record->id), &part) == 0)
		return 0;
	ga_id_text(record->id, id);
	return ga_error_set(
		error, GPUALLOC_EPERM,
		"GPUALLOC_LEASE names your lease %s, but this program cannot see any process "
		"that holds it, so it cannot tell whether it runs inside that lease: start it "
		"with the lease's descriptor open (GPUALLOC_FD is its number), or without "
		"GPUALLOC_LEASE",
		id);
}

/* ---- what it has ---- */

/* The same piece one level deeper. */
static int copy_piece(const struct ga_piece *piece, struct ga_room *room)
{
	room->range = ga_ledger_deeper(piece->ranges[0], 1);
	room->count = piece->count;
	if (piece->count > 1) {
		room->pieces = calloc(piece->count, sizeof *room->pieces);
		if (!room->pieces)
			return GPUALLOC_ENOMEM;
		for (size_t r = 0; r < piece->count; r++)
			room->pieces[r] = ga_ledger_deeper(piece->ranges[r], 1);
	}
	room->uuid = strdup(piece->uuid);
	return room->uuid ? 0 : GPUALLOC_ENOMEM;
}

static int add_room(struct ga_nest *nest, const struct ga_piece *piece, gpualloc_error *error)
{
	struct ga_room *rooms = reallocarray(nest->rooms, nest->room_count + 1, sizeof *rooms);
	struct ga_room room = {0};

	if (!rooms)
		return ga_error_memory(error);
	nest->rooms = rooms;
	if (copy_piece(piece, &room) < 0) {
		free(room.pieces);
		return ga_error_memory(error);
	}
	rooms[nest->room_count++] = room;
	return 0;
}

/* The record's ranges are really held; that is what was proved. */
static int take_over(struct ga_nest *nest, gpualloc_error *error)
{
	const struct ga_record *record = &nest->record;

	for (size_t i = 0; i < record->piece_count; i++) {
		const struct ga_piece *piece = &record->pieces[i];
		int result = 0;

		if (ga_ledger_level(piece->ranges[0]) + 1 >= GA_LEVELS)
			result = ga_error_set(
				error, GPUALLOC_EIMPOSSIBLE,
				"leases can be nested %d deep, and this would be one more",
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
	const char *name = secure_getenv("GPUALLOC_LEASE");
	int result;

	*ret_stale = false;
	if (!name || !*name)
		return 0;
	*ret_stale = true;
	if (!ga_id_parse(name, &nest.outer))
		return 0;
	ga_id_text(nest.outer, nest.id);
	result = ga_record_read(store, nest.outer, &nest.record);
	if (result <= 0)
		return result < 0 ? ga_error_memory(error) : 0;
	result = prove(store, &nest.record, &nest.proof, error);
	if (result == 0)
		return refuse_unseen(store, &nest.record, error);
	if (result > 0)
		result = take_over(&nest, error);
	if (result < 0 || nest.room_count == 0)
		return result;
	*ret_stale = false;
	*ret_nest = nest;
	nest = (struct ga_nest){0};
	return 0;
}
