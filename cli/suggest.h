/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the known word that somebody may have meant. */
#ifndef CLI_SUGGEST_H
#define CLI_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>

/* The nearest so far, while known words are offered one by one. */
struct suggestion {
	const char *word; /* NULL if none was near */
	size_t distance;
};

void suggest_offer(struct suggestion *best, const char *typed, const char *known);

#endif
