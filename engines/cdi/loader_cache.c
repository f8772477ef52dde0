/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader's cache; see loader_cache.h. Since glibc 2.2 it begins with a magic word, perhaps
 * after a table in the form before that, and numbers count from that word.
 */
#include "loader_cache.h"

#include <stdint.h>
#include <string.h>

static const char magic[] = "glibc-ld.so.cache1.1";

enum { MAGIC_SIZE = sizeof magic - 1, HEADER_SIZE = 48, ENTRY_SIZE = 24 };

static uint32_t number_at(const char *bytes)
{
	uint32_t number;

	memcpy(&number, bytes, sizeof number);
	return number;
}

/* A text that begins at an offset; the NUL behind the cache ends the last one. */
static const char *text_at(const char *table, size_t size, uint32_t offset)
{
	return offset < size ? table + offset : NULL;
}

const char *loader_cache_find(const char *cache, size_t size, const char *name, size_t *at)
{
	const char *table = memmem(cache, size, magic, MAGIC_SIZE);
	size_t count;

	if (!table)
		return NULL;
	size -= (size_t)(table - cache);
	if (size < HEADER_SIZE)
		return NULL;
	count = number_at(table + MAGIC_SIZE);
	if (count > (size - HEADER_SIZE) / ENTRY_SIZE)
		return NULL;
	while (*at < count) {
		const char *entry = table + HEADER_SIZE + (*at)++ * ENTRY_SIZE;
		const char *key = text_at(table, size, number_at(entry + 4));

		if (key && strcmp(key, name) == 0)
			return text_at(table, size, number_at(entry + 8));
	}
	return NULL;
}
