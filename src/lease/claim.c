/* SPDX-License-Identifier: Apache-2.0 */
/* All or nothing on the ledger; see claim.h. */
#include "claim.h"

#include "gaps.h"

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
 * A lease within a lease lives on after the outer one has ended, and a GPU's budgets share no byte
 * with its instances. Such a rival locked its range before it looked for ours, and we locked ours
 * before looking for its range: so one of the two sees the other. Looking is enough. Unlike locking
 * and unlocking, it wakes nobody and disturbs nobody else's look.
 */
static int check_opposed(int ledger, struct ga_range range, gpualloc_error *error)
{
	int held = ga_ledger_is_opposed(ledger, range);

	if (held < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "cannot read the ledger");
	return held ? ga_error_set(
			      error, GPUALLOC_EBUSY,
			      "a lease taken inside a lease that has ended still holds it, or somebody has "
			      "one of the GPU's instances or budgets")
		    : 0;
}

/* The piece gets the range before it is locked, so it is unlocked whatever happens next. */
static int lock_range(int ledger, struct ga_range range, struct ga_piece *piece,
		      gpualloc_error *error)
{
	int result = ga_piece_add(piece, range);

	if (result < 0)
		return ga_error_memory(error);
	result = ga_ledger_lock(ledger, range, error);
	if (result < 0) {
		piece->count--;
		return result;
	}
	return check_opposed(ledger, range, error);
}

static int claim_whole(int ledger, const struct ga_room *room, struct ga_piece *piece,
		       gpualloc_error *error)
{
	int result = 0;

	for (size_t r = 0; result == 0 && r < room->count; r++)
		result = lock_range(ledger, ga_room_ranges(room)[r], piece, error);
	return result;
}

/* A budget: free bytes, in as many ranges as they are scattered over. */
static int claim_budget(int ledger, const struct ga_room *room, int64_t mebibytes,
			struct ga_piece *piece, gpualloc_error *error)
{
	ga_auto_gaps struct ga_gaps gaps = {0};
	int result = 0;

	for (size_t r = 0; result == 0 && r < room->count; r++)
		result = ga_gaps_add(ledger, ga_room_ranges(room)[r], &gaps, error);
	if (result == 0 && !ga_gaps_cut(&gaps, mebibytes))
		return ga_error_set(error, GPUALLOC_EBUSY,
				    "it does not have that much free memory");
	for (size_t i = 0; result == 0 && i < gaps.count; i++)
		result = lock_range(ledger, gaps.list[i], piece, error);
	return result;
}

/* ---- all of them ---- */

static bool comes_first(const struct ga_room *a, const struct ga_room *b)
{
	return ga_room_ranges(a)->start < ga_room_ranges(b)->start;
}

/* The next one in the order of regions after the last one done; count if all are done. */
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

bool ga_id_choose(uint64_t *ret_id)
{
	uint64_t id;

	if (getrandom(&id, sizeof id, 0) != sizeof id)
		return false;
	*ret_id = id & ((UINT64_C(1) << GA_ID_BITS) - 1);
	return true;
}

int ga_claim_id(int ledger, uint64_t *ret_id, gpualloc_error *error)
{
	enum { TRIES = 16 };

	for (int i = 0; i < TRIES; i++) {
		uint64_t id;
		int result;

		if (!ga_id_choose(&id))
			continue;
		result = ga_ledger_lock(ledger, ga_ledger_id(id), error);
		if (result == 0)
			*ret_id = id;
		if (result != GPUALLOC_EBUSY)
			return result;
	}
	return ga_error_set(error, GPUALLOC_EBUSY,
			    "every lease id in the ledger is locked by somebody");
}
