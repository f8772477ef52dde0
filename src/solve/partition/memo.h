/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remembers what is known of states: the value is at least low and at most high. Its memory is
 * bounded.
 */
#ifndef GA_SOLVE_PARTITION_MEMO_H
#define GA_SOLVE_PARTITION_MEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The most bytes that the entries and the table use together, counting both copies while they grow
 * to twice their size.
 */
enum { GA_PART_MEMO_BYTES_MAX = 40 << 20 };

struct ga_part_memo_entry {
	int64_t low, high;
	uint8_t key[]; /* key_size bytes, then padding */
};

struct ga_part_memo {
	size_t key_size, entry_size;
	size_t count, room;
	char *entries;
	uint32_t *table; /* by hash: the number of an entry plus 1; twice as many slots as room */
	bool full;       /* there was no place for an entry */
	bool no_memory;  /* and the reason was a lack of memory */
};

void ga_part_memo_init(struct ga_part_memo *memo, size_t key_size);
void ga_part_memo_free(struct ga_part_memo *memo);

/*
 * Returns the entry of a key. A new entry gets low and high as given. Returns NULL if the memo is
 * full. Any later call may move the entry.
 */
struct ga_part_memo_entry *ga_part_memo_get(struct ga_part_memo *memo, const uint8_t *key,
					    int64_t low, int64_t high);
/* Returns the entry of a key, or NULL if there is no such entry. */
struct ga_part_memo_entry *ga_part_memo_find(const struct ga_part_memo *memo, const uint8_t *key);

#endif
