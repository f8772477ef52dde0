/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table of states with open addressing, which only grows; see memo.h. */
#include "memo.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 256 };

static uint64_t hash(const uint8_t *key, size_t size)
{
	uint64_t value = size, word;

	for (; size >= sizeof word; key += sizeof word, size -= sizeof word) {
		memcpy(&word, key, sizeof word);
		value = (value ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		value ^= value >> 29;
	}
	word = 0;
	memcpy(&word, key, size);
	value = (value ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return value ^ value >> 32;
}

static struct ga_part_memo_entry *entry_at(const struct ga_part_memo *memo, size_t i)
{
	return (struct ga_part_memo_entry *)(void *)(memo->entries + i * memo->entry_size);
}

/*
 * The slot where a key is, or where it would be inserted. The table is never more than half full.
 */
static uint32_t *slot_of(const struct ga_part_memo *memo, const uint8_t *key)
{
	const size_t mask = 2 * memo->room - 1;
	size_t at = (size_t)hash(key, memo->key_size) & mask;

	while (memo->table[at] != 0 &&
	       memcmp(entry_at(memo, memo->table[at] - 1)->key, key, memo->key_size) != 0)
		at = (at + 1) & mask;
	return &memo->table[at];
}

static bool grow(struct ga_part_memo *memo)
{
	const size_t room = memo->room ? 2 * memo->room : FIRST_ROOM;
	const size_t bytes = room * (memo->entry_size + 2 * sizeof *memo->table);
	uint32_t *table = NULL;
	char *entries = NULL;

	memo->full = true;
	/*
	 * Until the old memory is freed, the old and the new exist side by side: one and a half
	 * times the new.
	 */
	if (bytes + bytes / 2 > GA_PART_MEMO_BYTES_MAX)
		return false;
	memo->no_memory = true;
	entries = realloc(memo->entries, room * memo->entry_size);
	if (!entries)
		return false;
	memo->entries = entries;
	table = calloc(2 * room, sizeof *table);
	if (!table)
		return false;
	free(memo->table);
	memo->table = table;
	memo->room = room;
	for (size_t i = 0; i < memo->count; i++)
		*slot_of(memo, entry_at(memo, i)->key) = (uint32_t)i + 1;
	memo->full = memo->no_memory = false;
	return true;
}

void ga_part_memo_init(struct ga_part_memo *memo, size_t key_size)
{
	const size_t align = _Alignof(struct ga_part_memo_entry);

	*memo = (struct ga_part_memo){
		.key_size = key_size,
		.entry_size =
			(sizeof(struct ga_part_memo_entry) + key_size + align - 1) / align * align,
	};
}

void ga_part_memo_free(struct ga_part_memo *memo)
{
	free(memo->entries);
	free(memo->table);
	*memo = (struct ga_part_memo){0};
}

struct ga_part_memo_entry *ga_part_memo_find(const struct ga_part_memo *memo, const uint8_t *key)
{
	uint32_t *slot = memo->room > 0 ? slot_of(memo, key) : NULL;

	return slot && *slot != 0 ? entry_at(memo, *slot - 1) : NULL;
}

struct ga_part_memo_entry *ga_part_memo_get(struct ga_part_memo *memo, const uint8_t *key,
					    int64_t low, int64_t high)
{
	struct ga_part_memo_entry *entry = ga_part_memo_find(memo, key);

	if (entry)
		return entry;
	if (memo->count == memo->room && !grow(memo))
		return NULL;
	entry = entry_at(memo, memo->count++);
	entry->low = low;
	entry->high = high;
	memcpy(entry->key, key, memo->key_size);
	*slot_of(memo, key) = (uint32_t)memo->count;
	return entry;
}
