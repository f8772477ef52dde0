/* SPDX-License-Identifier: Apache-2.0 */
/* Looks up a library's functions; see symbols.h. */
#include "symbols.h"

#include <dlfcn.h>
#include <string.h>

static const char *last_error(void)
{
	const char *why = dlerror();

	return why ? why : "no reason was given";
}

const char *ga_symbols_find(void *library, const struct ga_symbol *symbols, size_t count,
			    void *ret_table)
{
	if (!library)
		return last_error();
	for (size_t i = 0; i < count; i++) {
		void *address = dlsym(library, symbols[i].name);

		if (!address)
			return last_error();
		/* A function's address comes as a void *; C only lets us copy its bytes. */
		memcpy((char *)ret_table + symbols[i].place, &address, sizeof address);
	}
	return NULL;
}
