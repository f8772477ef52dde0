/* SPDX-License-Identifier: Apache-2.0 */
/* /etc/ld.so.cache: where the loader finds a library. */
#ifndef CDI_LOADER_CACHE_H
#define CDI_LOADER_CACHE_H

#include <stddef.h>

#define LOADER_CACHE "/etc/ld.so.cache"
enum { LOADER_CACHE_MOST = 16 << 20 };

/*
 * The path of a library by its name, in a cache of size bytes with a NUL behind them; *at counts
 * the entries, so that the next call finds the next of that name. NULL: there is none.
 */
const char *loader_cache_find(const char *cache, size_t size, const char *name, size_t *at);

#endif
