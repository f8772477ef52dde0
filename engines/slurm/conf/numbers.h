/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of small numbers, written as lists such as "0-19,40-59": CPUs, cores, sockets. */
#ifndef SLURM_NUMBERS_H
#define SLURM_NUMBERS_H

#include "buffer.h"

#include <stdint.h>

enum { NUMBERS_MOST = 65535 };

struct numbers {
	uint64_t words[(NUMBERS_MOST + 1) / 64];
	size_t count;
	int64_t highest; /* -1 if the set is empty */
};

/* Reads a list; false if it is not one, or has a number above NUMBERS_MOST. */
bool numbers_read(const char *list, struct numbers *ret_numbers);
void numbers_empty(struct numbers *numbers);
void numbers_add(struct numbers *numbers, int64_t first, int64_t last);
bool numbers_has(const struct numbers *numbers, int64_t number);
/* How many numbers from first to last are in the set. */
size_t numbers_between(const struct numbers *numbers, int64_t first, int64_t last);
void numbers_text(struct ga_buffer *text, const struct numbers *numbers);

#endif
