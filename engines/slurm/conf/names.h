/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slurm's lists of names, of nodes or of device files: "n[1-4,07],login", "/dev/nvidia[0-3]". They
 * come from outside and may name a billion; nothing here allocates memory for the names.
 */
#ifndef SLURM_NAMES_H
#define SLURM_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NAME_SIZE = 256 };

/* Counts the names, up to UINT32_MAX; false if it is not such a list. */
bool names_count(const char *names, uint64_t *ret_count);
bool names_have(const char *names, const char *name);

/* Gives one name after the other: start with {names}. False after the last, and at a name that is
 * too long. */
struct names_walk {
	const char *rest;
	uint64_t at;
};
bool names_next(struct names_walk *walk, char name[static NAME_SIZE]);

#endif
