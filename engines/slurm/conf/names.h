/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slurm's lists of names, of nodes as of device files: "n[1-4,07],login", "/dev/nvidia[0-3]". They
 * come from outside and may name a billion; nothing here takes memory for what they name.
 */
#ifndef SLURM_NAMES_H
#define SLURM_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NAME_SIZE = 256 };

/* How many names, at most UINT32_MAX are told apart; false where it is no such list. */
bool names_count(const char *names, uint64_t *ret_count);
bool names_have(const char *names, const char *name);

/* One after the other: start with {names}; false after the last, and at one too long to be one. */
struct names_walk {
	const char *rest;
	uint64_t at;
};
bool names_next(struct names_walk *walk, char name[static NAME_SIZE]);

#endif
