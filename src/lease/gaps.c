/* SPDX-License-Identifier: Apache-2.0 */
/* What is free for budgets; see gaps.h. */
#include "gaps.h"

#include "cleanup.h"
#include "clock.h"

#include <stdlib.h>
#include <string.h>

/*
 * There cannot be that many holders. A stranger can make that many locks, and nobody should wait
 * long for them.
 */
enum { PARTS_MOST = 1 << 16, LOOK_MS = 250 };

void ga_gaps_free(struct ga_gaps *gaps)
{
	free(gaps->list);
	*gaps = (struct ga_gaps){0};
}

/* ---- what is held ---- */

struct parts {
	struct ga_range *list;
	size_t count;
	size_t room;
	off_t down;            /* distance to the level we look at */
	struct ga_range whole; /* on its own level */
	int64_t until;
};

static void free_parts(struct parts *parts)
{
	free(parts->list);
}

static int add_part(struct parts *parts, struct ga_range part)
{
	if (parts->count == parts->room) {
		size_t room = parts->room ? 2 * parts->room : 64;
		struct ga_range *list = reallocarray(parts->list, room, sizeof *list);

		if (!list)
			return GPUALLOC_ENOMEM;
		parts->list = list;
		parts->room = room;
	}
	part.start -= parts->down;
	parts->list[parts->count++] = part;
	return 0;
}

/* If they never end, the rest is not looked at and counts as held. */
static int note_part(void *context, struct ga_range part)
{
	struct parts *parts = context;
	bool last = parts->count >= PARTS_MOST || ga_clock_ms() > parts->until;

	if (last)
		part.length = parts->whole.start + parts->down + parts->whole.length - part.start;
	if (add_part(parts, part) < 0)
		return GPUALLOC_ENOMEM;
	return last;
}

static int find_parts(int ledger, struct parts *parts)
{
	unsigned levels = GA_LEVELS - ga_ledger_level(parts->whole);
	int result = 0;

	parts->until = ga_clock_ms() + LOOK_MS;
	for (unsigned more = 0; result >= 0 && more < levels; more++) {
		struct ga_range range = ga_ledger_deeper(parts->whole, more);

		parts->down = range.start - parts->whole.start;
		result = ga_ledger_probe(ledger, range, note_part, parts);
	}
	return result < 0 ? result : 0;
}

static int by_start(const void *a, const void *b)
{
	const struct ga_range *one = a, *other = b;

	return (one->start > other->start) - (one->start < other->start);
}

/* ---- what is not ---- */

static int add_gap(struct ga_gaps *gaps, off_t start, off_t end)
{
	struct ga_range *list;

	if (start >= end)
		return 0;
	list = reallocarray(gaps->list, gaps->count + 1, sizeof *list);
	if (!list)
		return GPUALLOC_ENOMEM;
	gaps->list = list;
	list[gaps->count++] = (struct ga_range){start, end - start};
	gaps->sum += end - start;
	return 0;
}

static int add_between(struct ga_gaps *gaps, const struct parts *parts)
{
	off_t at = parts->whole.start;
	int result = 0;

	for (size_t i = 0; result == 0 && i < parts->count; i++) {
		const struct ga_range *part = &parts->list[i];

		result = add_gap(gaps, at, part->start);
		if (part->start + part->length > at)
			at = part->start + part->length;
	}
	if (result == 0)
		result = add_gap(gaps, at, parts->whole.start + parts->whole.length);
	return result;
}

int ga_gaps_add(int ledger, struct ga_range range, struct ga_gaps *gaps, gpualloc_error *error)
{
	ga_cleanup(free_parts) struct parts parts = {.whole = range};
	int result = find_parts(ledger, &parts);

	if (result == 0 && parts.count > 1)
		qsort(parts.list, parts.count, sizeof *parts.list, by_start);
	if (result == 0)
		result = add_between(gaps, &parts);
	if (result == GPUALLOC_ENOMEM)
		return ga_error_memory(error);
	return result < 0 ? ga_error_set(error, result, "cannot read the ledger") : 0;
}

/* ---- which of them ---- */

static int by_length(const void *a, const void *b)
{
	const struct ga_range *one = a, *other = b;

	if (one->length != other->length)
		return one->length > other->length ? -1 : 1;
	return by_start(a, b);
}

bool ga_gaps_cut(struct ga_gaps *gaps, off_t wanted)
{
	size_t first = 0, count = 0;
	off_t had = 0;

	if (gaps->sum < wanted || wanted <= 0)
		return false;
	qsort(gaps->list, gaps->count, sizeof *gaps->list, by_length);
	while (first + 1 < gaps->count && gaps->list[first + 1].length >= wanted)
		first++;
	for (; had < wanted; count++)
		had += gaps->list[first + count].length;
	memmove(gaps->list, gaps->list + first, count * sizeof *gaps->list);
	gaps->list[count - 1].length -= had - wanted;
	qsort(gaps->list, count, sizeof *gaps->list, by_start);
	gaps->count = count;
	gaps->sum = wanted;
	return true;
}
