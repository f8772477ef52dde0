/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of states: no less than low, no more than high. Bounded in memory. */
#ifndef GA_SOLVE_PARTITION_MEMO_H
#define GA_SOLVE_PARTITION_MEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Together at most, while one of them is being moved to a place twice as large. */
enum { GA_PART_MEMO_BYTES_MAX = 40 << 20 };

struct ga_part_memo_entry {
	int64_t low, high;
	uint8_t key[]; /* of the memo's key_size, padded */
};

struct ga_part_memo {
	size_t key_size, entry_size;
	size_t count, room;
	char *entries;
	uint32_t *table; /* numbers of entries plus 1, by hash; twice as many as room */
	bool full;       /* an entry was wanted that there was no place for */
	bool no_memory;  /* and this is why */
};

void ga_part_memo_init(struct ga_part_memo *memo, size_t key_size);
void ga_part_memo_free(struct ga_part_memo *memo);

/*
 * The entry of a key, a new one with low and high as given; NULL where the memo is full. Any later
 * call may move it.
 */
struct ga_part_memo_entry *ga_part_memo_get(struct ga_part_memo *memo, const uint8_t *key,
					    int64_t low, int64_t high);
/* NULL where it is not known. */
struct ga_part_memo_entry *ga_part_memo_find(const struct ga_part_memo *memo, const uint8_t *key);

#endif
