/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's address space, and locks in it; see ledger.h. */
#include "ledger.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

enum { REGION_BITS = 32, LEVEL_BITS = 29, GI_BITS = 23, CI_BITS = 20 };

/* After the last instance. */
static const off_t budgets_start = (off_t)(GA_GI_MOST + 1) << GI_BITS;
static const off_t budgets_length = (off_t)1 << GI_BITS;

/* Returned by a probe that has reported the rest as held; no callback returns it. */
enum { ENOUGH = INT_MAX };

static uint64_t hash(const char *text)
{
	uint64_t value = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		value = (value ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return value ^ value >> 32;
}

static off_t level_start(const gpualloc_device *gpu, unsigned level)
{
	uint64_t region = hash(gpu->uuid) & ((UINT64_C(1) << 30) - 1);

	return (off_t)(region << REGION_BITS | (uint64_t)level << LEVEL_BITS);
}

/* If a number is not known, take everything it may be: others may know the number. */
struct ga_range ga_ledger_part(const gpualloc_device *gpu, int64_t gi, int64_t ci, unsigned level)
{
	struct ga_range range = {level_start(gpu, level), (off_t)1 << LEVEL_BITS};

	if (gi < 0 || gi > GA_GI_MOST)
		return range;
	range.start += (off_t)gi << GI_BITS;
	range.length = (off_t)1 << GI_BITS;
	if (ci < 0 || ci > GA_CI_MOST)
		return range;
	range.start += (off_t)ci << CI_BITS;
	range.length = (off_t)1 << CI_BITS;
	return range;
}

struct ga_range ga_ledger_device(const gpualloc_device *device, unsigned level)
{
	return device->parent ? ga_ledger_part(device->parent, device->gi, device->ci, level)
			      : ga_ledger_part(device, GA_UNKNOWN, GA_UNKNOWN, level);
}

struct ga_range ga_ledger_memory(const gpualloc_device *device, unsigned level, int64_t first,
				 int64_t count)
{
	struct ga_range room = ga_ledger_device(device, level);

	if (!device->parent) {
		room.start += budgets_start;
		room.length = budgets_length;
	}
	if (count < 1)
		count = 1;
	if (first >= room.length)
		first = room.length - 1;
	if (count > room.length - first)
		count = room.length - first;
	return (struct ga_range){room.start + first, count};
}

struct ga_range ga_ledger_rivals(struct ga_range range)
{
	off_t level = range.start >> LEVEL_BITS << LEVEL_BITS, first = range.start - level;

	if (range.length >= (off_t)1 << LEVEL_BITS)
		return (struct ga_range){level, 0};
	if (first >= budgets_start)
		return (struct ga_range){level, budgets_start};
	return (struct ga_range){level + budgets_start, budgets_length};
}

struct ga_range ga_ledger_id(uint64_t id)
{
	uint64_t place = id & ((UINT64_C(1) << GA_ID_BITS) - 1);

	return (struct ga_range){(off_t)(UINT64_C(1) << 62 | place), 1};
}

struct ga_range ga_ledger_deeper(struct ga_range range, unsigned levels)
{
	range.start += (off_t)levels << LEVEL_BITS;
	return range;
}

unsigned ga_ledger_level(struct ga_range range)
{
	return (unsigned)((uint64_t)range.start >> LEVEL_BITS) % GA_LEVELS;
}

struct ga_range ga_ledger_ticket(uint64_t number)
{
	uint64_t place = number & ((UINT64_C(1) << GA_TICKET_BITS) - 1);

	return (struct ga_range){(off_t)((UINT64_C(1) << 62 | UINT64_C(1) << GA_ID_BITS) + place),
				 1};
}

struct ga_range ga_ledger_looking(uint64_t number)
{
	struct ga_range range = ga_ledger_ticket(number);

	range.start += (off_t)1 << GA_TICKET_BITS;
	return range;
}

struct ga_range ga_ledger_all_ids(void)
{
	return (struct ga_range){(off_t)1 << 62, (off_t)1 << GA_ID_BITS};
}

struct ga_range ga_ledger_all_devices(void)
{
	return (struct ga_range){0, (off_t)1 << 62};
}

struct ga_range ga_ledger_everything(void)
{
	return (struct ga_range){0, INT64_MAX};
}

bool ga_range_meets(struct ga_range a, struct ga_range b)
{
	return a.start - b.start < b.length && b.start - a.start < a.length;
}

static int set_lock(int ledger, struct ga_range range, short type)
{
	struct flock lock = {.l_type = type,
			     .l_whence = SEEK_SET,
			     .l_start = range.start,
			     .l_len = range.length};
	int result;

	do {
		result = fcntl(ledger, F_OFD_SETLK, &lock);
	} while (result < 0 && errno == EINTR);
	return result;
}

int ga_ledger_lock(int ledger, struct ga_range range, gpualloc_error *error)
{
	if (set_lock(ledger, range, F_WRLCK) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return ga_error_set(error, GPUALLOC_EBUSY, "somebody else has it");
	return ga_error_errno(error, GPUALLOC_EIO, errno, "cannot lock the ledger");
}

bool ga_ledger_guard(int ledger, struct ga_range range)
{
	return set_lock(ledger, range, F_RDLCK) == 0;
}

int ga_ledger_unlock(int ledger, struct ga_range range)
{
	return set_lock(ledger, range, F_UNLCK) == 0 ? 0 : GPUALLOC_EIO;
}

/*
 * On devices any lock that blocks a claim counts. Ids and tickets are proof: anybody who can read
 * the ledger can put a read lock on one that has ended, and that must not look like its owner.
 */
static short asked_lock(struct ga_range range)
{
	return range.start >= ga_ledger_all_ids().start ? F_RDLCK : F_WRLCK;
}

int ga_ledger_is_held(int ledger, struct ga_range range, struct ga_range *ret_part)
{
	struct flock lock = {.l_type = asked_lock(range),
			     .l_whence = SEEK_SET,
			     .l_start = range.start,
			     .l_len = range.length};
	off_t end = range.start + range.length, part_end; /* no range reaches the last byte */

	if (fcntl(ledger, F_OFD_GETLK, &lock) < 0)
		return -1;
	if (lock.l_type == F_UNLCK)
		return 0;
	/* A lock "to the end of the file" has length 0; a stranger may hold one. */
	part_end = lock.l_len == 0 || lock.l_start >= end - lock.l_len ? end
								       : lock.l_start + lock.l_len;
	ret_part->start = lock.l_start < range.start ? range.start : lock.l_start;
	ret_part->length = part_end - ret_part->start;
	return 1;
}

/* From which level on to look at the range itself, besides its rivals. */
enum itself { FROM_ITS_LEVEL, FROM_BELOW, NEVER };

/*
 * The order matters, from this level downwards: a lease within a lease locks its level before it
 * checks that the outer one is alive. So anybody who finds the outer one gone finds the inner one
 * there.
 */
static int is_held_downwards(int ledger, struct ga_range range, enum itself itself)
{
	struct ga_range rivals = ga_ledger_rivals(range), part;
	unsigned levels = GA_LEVELS - ga_ledger_level(range);
	int held = 0;

	for (unsigned more = 0; held == 0 && more < levels; more++) {
		if (itself == FROM_ITS_LEVEL || (itself == FROM_BELOW && more > 0))
			held = ga_ledger_is_held(ledger, ga_ledger_deeper(range, more), &part);
		if (held == 0 && rivals.length > 0)
			held = ga_ledger_is_held(ledger, ga_ledger_deeper(rivals, more), &part);
	}
	return held;
}

int ga_ledger_is_opposed(int ledger, struct ga_range range)
{
	return is_held_downwards(ledger, range, FROM_BELOW);
}

int ga_ledger_has_rival(int ledger, struct ga_range range)
{
	return is_held_downwards(ledger, range, NEVER);
}

int ga_ledger_is_taken(int ledger, struct ga_range range)
{
	struct ga_range rest = {range.start >> LEVEL_BITS << LEVEL_BITS, 0}, part;
	int held;

	/* Usually nobody has any of the GPU, and one look tells. */
	rest.length = (off_t)(GA_LEVELS - ga_ledger_level(range)) << LEVEL_BITS;
	held = ga_ledger_is_held(ledger, rest, &part);
	return held == 1 ? is_held_downwards(ledger, range, FROM_ITS_LEVEL) : held;
}

/*
 * Finds the lowest lock of others in the range by narrowing it down; returns what
 * ga_ledger_is_held() does.
 */
static int lowest(int ledger, struct ga_range range, struct ga_range *ret_part)
{
	int result = ga_ledger_is_held(ledger, range, ret_part), before = result;

	while (before == 1 && ret_part->start > range.start) {
		struct ga_range part;

		range.length = ret_part->start - range.start;
		before = ga_ledger_is_held(ledger, range, &part);
		if (before == 1)
			*ret_part = part;
	}
	return before < 0 ? before : result;
}

struct probing {
	int ledger;
	int (*found)(void *context, struct ga_range part);
	void *context;
	off_t end;        /* end of the whole range */
	int64_t until_us; /* measured in processor time */
};

static int tell_rest(const struct probing *probing, off_t start)
{
	struct ga_range rest = {start, probing->end - start};
	int result = probing->found(probing->context, rest);

	return result != 0 ? result : ENOUGH;
}

/*
 * The kernel names some conflict, not the first one, so look at what lies before it and then report
 * it. A stranger's many locks must not use up the stack: from some depth on, each is found by
 * narrowing down.
 */
static int probe(const struct probing *probing, struct ga_range range, int depth)
{
	while (range.length > 0) {
		struct ga_range part, before = range;
		int result = depth > 0 ? ga_ledger_is_held(probing->ledger, range, &part)
				       : lowest(probing->ledger, range, &part);

		if (result < 0)
			return GPUALLOC_EIO;
		if (result == 0)
			return 0;
		if (ga_clock_work_us() >= probing->until_us)
			return tell_rest(probing, range.start);
		before.length = part.start - range.start;
		result = depth > 0 && before.length > 0 ? probe(probing, before, depth - 1) : 0;
		if (result == 0)
			result = probing->found(probing->context, part);
		if (result != 0)
			return result;
		range.length -= part.start + part.length - range.start;
		range.start = part.start + part.length;
	}
	return 0;
}

int ga_ledger_probe(int ledger, struct ga_range range,
		    int (*found)(void *context, struct ga_range part), void *context)
{
	enum { DEPTH = 200, WORK_US = 20000 };
	struct probing probing = {ledger, found, context, range.start + range.length,
				  ga_clock_work_us() + WORK_US};
	int result = probe(&probing, range, DEPTH);

	return result == ENOUGH ? 0 : result;
}
