/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of devices as bits; the bits after the last place are always 0. See device_set.h. */
#include "device_set.h"

#include <stdlib.h>
#include <string.h>

enum { BITS = 64 };

static size_t word_count(const struct ga_device_set *set)
{
	return (set->size + BITS - 1) / BITS;
}

bool ga_device_set_init(struct ga_device_set *set, size_t size)
{
	*set = (struct ga_device_set){.size = size};
	set->words = calloc(word_count(set) + 1, sizeof *set->words);
	return set->words != NULL;
}

void ga_device_set_free(struct ga_device_set *set)
{
	free(set->words);
	*set = (struct ga_device_set){0};
}

void ga_device_set_add(struct ga_device_set *set, size_t place)
{
	set->words[place / BITS] |= UINT64_C(1) << place % BITS;
}

void ga_device_set_remove(struct ga_device_set *set, size_t place)
{
	set->words[place / BITS] &= ~(UINT64_C(1) << place % BITS);
}

void ga_device_set_add_all(struct ga_device_set *set)
{
	for (size_t place = 0; place < set->size; place++)
		ga_device_set_add(set, place);
}

bool ga_device_set_has(const struct ga_device_set *set, size_t place)
{
	return place < set->size && (set->words[place / BITS] >> place % BITS & 1);
}

size_t ga_device_set_count(const struct ga_device_set *set)
{
	size_t count = 0;

	for (size_t i = 0; i < word_count(set); i++)
		count += (size_t)__builtin_popcountll(set->words[i]);
	return count;
}

size_t ga_device_set_next(const struct ga_device_set *set, size_t place)
{
	size_t i = place / BITS;
	uint64_t word;

	if (place >= set->size)
		return set->size;
	word = set->words[i] & ~UINT64_C(0) << place % BITS;
	while (word == 0 && ++i < word_count(set))
		word = set->words[i];
	return word ? i * BITS + (size_t)__builtin_ctzll(word) : set->size;
}

bool ga_device_set_equal(const struct ga_device_set *a, const struct ga_device_set *b)
{
	return a->size == b->size &&
	       memcmp(a->words, b->words, word_count(a) * sizeof *a->words) == 0;
}

bool ga_device_set_contains(const struct ga_device_set *set, const struct ga_device_set *part)
{
	for (size_t i = 0; i < word_count(set); i++)
		if (part->words[i] & ~set->words[i])
			return false;
	return true;
}

bool ga_device_set_meets(const struct ga_device_set *a, const struct ga_device_set *b)
{
	for (size_t i = 0; i < word_count(a); i++)
		if (a->words[i] & b->words[i])
			return true;
	return false;
}

void ga_device_set_copy(struct ga_device_set *to, const struct ga_device_set *from)
{
	memcpy(to->words, from->words, word_count(from) * sizeof *from->words);
}

void ga_device_set_unite(struct ga_device_set *set, const struct ga_device_set *other)
{
	for (size_t i = 0; i < word_count(set); i++)
		set->words[i] |= other->words[i];
}

void ga_device_set_subtract(struct ga_device_set *set, const struct ga_device_set *other)
{
	for (size_t i = 0; i < word_count(set); i++)
		set->words[i] &= ~other->words[i];
}
