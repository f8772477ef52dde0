/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of a library's functions, for libraries that are loaded when they are used. */
#ifndef GA_UTIL_SYMBOLS_H
#define GA_UTIL_SYMBOLS_H

#include <stddef.h>

struct ga_symbol {
	const char *name;
	size_t place; /* of its pointer in the table */
};

/*
 * Fills the pointers of *ret_table from what dlopen() has returned, also NULL. Returns why that
 * failed, or NULL; then all of them are set.
 */
const char *ga_symbols_find(void *library, const struct ga_symbol *symbols, size_t count,
			    void *ret_table);

#endif
