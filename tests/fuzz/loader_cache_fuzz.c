/* SPDX-License-Identifier: Apache-2.0 */
/* /etc/ld.so.cache, which may be that of another root: a path that is found ends within it. */
#include "fuzz.h"

#include "loader_cache.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *cache = malloc(size + 1);
	size_t at = 0;
	const char *found;

	if (!cache)
		abort();
	memcpy(cache, data, size);
	cache[size] = '\0';
	while ((found = loader_cache_find(cache, size, "libcuda.so.1", &at)))
		if (found < cache || found + strlen(found) > cache + size)
			abort();
	free(cache);
	return 0;
}
