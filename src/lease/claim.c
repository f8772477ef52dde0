/* SPDX-License-Identifier: Apache-2.0 */
/* All or nothing on the ledger; see claim.h. */
#include "claim.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

int ga_claim_drop(int ledger, const struct ga_piece *pieces, size_t count)
{
	int result = 0;

	for (size_t i = 0; i < count; i++)
		for (size_t r = 0; r < pieces[i].count; r++)
			if (ga_ledger_unlock(ledger, pieces[i].ranges[r]) < 0)
				result = GPUALLOC_EIO;
	return result;
}

/*
 * A lease within a lease lives on when the outer one has ended. It locked its level before it
 * looked whether the outer one lived; we have locked ours before we look deeper: one of the two
 * sees the other. To look is enough, and unlike taking and dropping it wakes nobody and keeps
 * nobody else from looking.
 */
static int check_deeper(int ledger, struct ga_range range, gpualloc_error *error)
{
	unsigned level = ga_ledger_level(range);
	struct ga_range part;

	for (unsigned more = 1; level + more < GA_LEVELS; more++) {
		int held = ga_ledger_is_held(ledger, ga_ledger_deeper(range, more), &part);

		if (held < 0)
			return ga_error_errno(error, GPUALLOC_EIO, errno, "cannot read the ledger");
		if (held)
			return ga_error_set(error, GPUALLOC_EBUSY,
					    "a lease within an ended lease goes on there");
	}
	return 0;
}

/* Adds to the piece what was locked, so that it is dropped whatever follows. */
static int lock_range(int ledger, struct ga_range range, struct ga_piece *piece,
		      gpualloc_error *error)
{
	int result = ga_ledger_lock(ledger, range, error);

	if (result < 0)
		return result;
	piece->ranges[piece->count++] = range;
	return check_deeper(ledger, range, error);
}

static int claim_whole(int ledger, const struct ga_room *room, struct ga_piece *piece,
		       gpualloc_error *error)
{
	int result = 0;

	for (size_t r = 0; result == 0 && r < room->count; r++)
		result = lock_range(ledger, room->ranges[r], piece, error);
	return result;
}

/* ---- a budget: the first free bytes, in several ranges where they lie apart ---- */

struct fitting {
	int ledger;
	off_t at; /* everything before it has been dealt with */
	int64_t left;
	struct ga_piece *piece;
	gpualloc_error *error;
};

static int fit_gap(struct fitting *fitting, off_t end)
{
	struct ga_range gap = {fitting->at, end - fitting->at};
	int result;

	if (gap.length > fitting->left)
		gap.length = fitting->left;
	if (gap.length <= 0)
		return 0;
	if (fitting->piece->count == GA_PIECES)
		return ga_error_set(fitting->error, GPUALLOC_EBUSY,
				    "what is free lies in too many pieces");
	result = lock_range(fitting->ledger, gap, fitting->piece, fitting->error);
	if (result == 0)
		fitting->left -= gap.length;
	return result;
}

static int fit_before(void *context, struct ga_range part)
{
	struct fitting *fitting = context;
	int result = fit_gap(fitting, part.start);

	fitting->at = part.start + part.length;
	return result < 0 ? result : fitting->left == 0;
}

static int claim_budget(int ledger, const struct ga_room *room, int64_t mebibytes,
			struct ga_piece *piece, gpualloc_error *error)
{
	struct fitting fitting = {ledger, 0, mebibytes, piece, error};

	for (size_t r = 0; fitting.left > 0 && r < room->count; r++) {
		struct ga_range range = room->ranges[r];
		int result;

		fitting.at = range.start;
		result = ga_ledger_probe(ledger, range, fit_before, &fitting);
		if (result == 0)
			result = fit_gap(&fitting, range.start + range.length);
		if (result < 0)
			return result;
	}
	return fitting.left == 0
		       ? 0
		       : ga_error_set(error, GPUALLOC_EBUSY, "not so much of its memory is free");
}

/* ---- all of them ---- */

static bool comes_first(const struct ga_room *a, const struct ga_room *b)
{
	return a->ranges[0].start < b->ranges[0].start;
}

/* The next in the order of regions behind the last one done; count where all are done. */
static size_t next_room(const struct ga_room *rooms, const struct ga_piece *pieces, size_t count)
{
	size_t next = count;

	for (size_t i = 0; i < count; i++)
		if (!pieces[i].uuid && (next == count || comes_first(&rooms[i], &rooms[next])))
			next = i;
	return next;
}

int ga_claim(int ledger, const struct ga_room *rooms, size_t count, int64_t mebibytes,
	     struct ga_piece **ret_pieces, gpualloc_error *error)
{
	struct ga_piece *pieces = calloc(count + 1, sizeof *pieces);
	int result = 0;

	if (!pieces)
		return ga_error_memory(error);
	for (size_t done = 0; result == 0 && done < count; done++) {
		size_t i = next_room(rooms, pieces, count);

		pieces[i].uuid = strdup(rooms[i].uuid);
		if (!pieces[i].uuid)
			result = ga_error_memory(error);
		else if (mebibytes > 0)
			result = claim_budget(ledger, &rooms[i], mebibytes, &pieces[i], error);
		else
			result = claim_whole(ledger, &rooms[i], &pieces[i], error);
	}
	if (result < 0) {
		(void)ga_claim_drop(ledger, pieces, count);
		ga_pieces_free(pieces, count);
		return result;
	}
	*ret_pieces = pieces;
	return 0;
}

int ga_claim_id(int ledger, uint64_t *ret_id, gpualloc_error *error)
{
	enum { TRIES = 16 };

	for (int i = 0; i < TRIES; i++) {
		uint64_t id;
		int result;

		if (getrandom(&id, sizeof id, 0) != sizeof id)
			continue;
		id &= (UINT64_C(1) << GA_ID_BITS) - 1;
		result = ga_ledger_lock(ledger, ga_ledger_id(id), error);
		if (result == 0)
			*ret_id = id;
		if (result != GPUALLOC_EBUSY)
			return result;
	}
	return ga_error_set(error, GPUALLOC_EBUSY, "somebody holds all ids of the ledger");
}
