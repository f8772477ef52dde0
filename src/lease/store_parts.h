/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of a store, and which of them others may use. A store is for its owner alone, or for
 * others too. If its parts disagree about that, it was left unfinished.
 */
#ifndef GA_LEASE_STORE_PARTS_H
#define GA_LEASE_STORE_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

enum {
	GA_STORE_PARTS = 4,
	GA_STORE_OTHERS = S_IRWXG | S_IRWXO,
	GA_STORE_READABLE = S_IRGRP | S_IROTH,
	GA_STORE_WRITABLE = S_IWGRP | S_IWOTH,
};

struct ga_store_part {
	const char *name;
	bool is_folder;
	bool is_writable; /* others need to write to it, not only to read it */
};

extern const struct ga_store_part ga_store_parts[GA_STORE_PARTS];

const struct ga_store_part *ga_store_part(const char *name);
/* Whether only the owner can use the part as it is meant to be used. */
bool ga_store_part_is_shut(const struct ga_store_part *part, mode_t mode);

#endif
