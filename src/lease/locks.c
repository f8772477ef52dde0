/* SPDX-License-Identifier: Apache-2.0 */
/* Reading /proc/PID/fdinfo; see locks.h. */
#include "locks.h"

#include "file.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

/* A lease of a thousand devices has a line for each. */
enum { FDINFO_MAX = 1 << 20 };

void ga_locks_free(struct ga_locks *locks)
{
	free(locks->list);
	*locks = (struct ga_locks){0};
}

static struct ga_view next_word(struct ga_view *rest)
{
	struct ga_view word;

	while (rest->size > 0 && strchr(" \t", *rest->text)) {
		rest->text++;
		rest->size--;
	}
	word = (struct ga_view){rest->text, 0};
	while (rest->size > 0 && !strchr(" \t", *rest->text)) {
		rest->text++;
		rest->size--;
		word.size++;
	}
	return word;
}

static bool next_is(struct ga_view *rest, const char *expected)
{
	struct ga_view word = next_word(rest);

	return ga_text_equal(word.text, word.size, expected);
}

/* "lock: 1: OFDLCK ADVISORY WRITE -1 00:1a:33 FIRST LAST"; LAST may be EOF. */
static bool read_line(struct ga_view line, struct ga_range *ret_range)
{
	struct ga_view first, last;
	int64_t from, to;

	if (!next_is(&line, "lock:"))
		return false;
	(void)next_word(&line); /* the lock's number in the list */
	if (!next_is(&line, "OFDLCK") || !next_is(&line, "ADVISORY") || !next_is(&line, "WRITE"))
		return false;
	(void)next_word(&line); /* its pid: an OFD lock has none */
	(void)next_word(&line); /* the file */
	first = next_word(&line);
	last = next_word(&line);
	if (!ga_text_number(first.text, first.size, INT64_MAX - 1, &from))
		return false;
	if (ga_text_equal(last.text, last.size, "EOF"))
		to = INT64_MAX - 1;
	else if (!ga_text_number(last.text, last.size, INT64_MAX - 1, &to) || to < from)
		return false;
	*ret_range = (struct ga_range){(off_t)from, (off_t)(to - from + 1)};
	return true;
}

static int add(struct ga_locks *locks, struct ga_range range)
{
	struct ga_range *list = reallocarray(locks->list, locks->count + 1, sizeof *list);

	if (!list)
		return GPUALLOC_ENOMEM;
	locks->list = list;
	list[locks->count++] = range;
	return 0;
}

int ga_locks_read(int process, const char *fd, struct ga_locks *ret_locks)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(FDINFO_MAX);
	ga_auto_locks struct ga_locks locks = {0};
	struct ga_view rest, line;
	struct ga_range range;
	char path[32];
	int result;

	(void)snprintf(path, sizeof path, "fdinfo/%.16s", fd);
	result = ga_file_read_at(process, path, FDINFO_MAX, &text, NULL);
	if (result < 0)
		return result == GPUALLOC_ENOMEM ? result : 0;
	rest = (struct ga_view){text.data, text.size};
	while (ga_view_line(&rest, &line))
		if (read_line(line, &range) && add(&locks, range) < 0)
			return GPUALLOC_ENOMEM;
	*ret_locks = locks;
	locks = (struct ga_locks){0};
	return 1;
}

/* The kernel joins locks that touch, so a range without a gap lies in one of them. */
bool ga_locks_cover(const struct ga_locks *locks, struct ga_range range)
{
	for (size_t i = 0; i < locks->count; i++) {
		const struct ga_range *lock = &locks->list[i];

		if (lock->start <= range.start &&
		    range.length <= lock->length - (range.start - lock->start))
			return true;
	}
	return false;
}

bool ga_locks_are_of(const struct ga_locks *locks, const struct ga_record *record)
{
	if (!ga_locks_cover(locks, ga_ledger_id(record->id)))
		return false;
	for (size_t i = 0; i < record->piece_count; i++)
		for (size_t r = 0; r < record->pieces[i].count; r++)
			if (!ga_locks_cover(locks, record->pieces[i].ranges[r]))
				return false;
	return true;
}
