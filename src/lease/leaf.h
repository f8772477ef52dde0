/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaves: the small files that holders and waiters leave in sticky folders, for others to read.
 * Lines of a key and a value. They are information only; a reader trusts nothing but the owner's
 * uid. A leaf is complete from the moment it has a name.
 */
#ifndef GA_LEASE_LEAF_H
#define GA_LEASE_LEAF_H

#include "buffer.h"
#include "error.h"
#include "text.h"

#include <sys/stat.h>

enum { GA_LEAF_MAX = 4096, GA_LEAF_NAME = 16 };

/* -EEXIST if the name is taken, else 0 or another negative errno. */
int ga_leaf_write(int folder, const char *name, const struct ga_buffer *text);
/* Puts it in the place of one of that name, which must be ours; a negative errno or 0. */
int ga_leaf_replace(int folder, const char *name, const struct ga_buffer *text);
/* False if there is no such file, or if it cannot be a leaf. */
bool ga_leaf_read(int folder, const char *name, struct ga_buffer *text, struct stat *ret_status);
/* Whether it belongs to our user: for root too, not to anybody else. */
bool ga_leaf_is_ours(int folder, const char *name);
/* Whether a dead one may be removed by us: our own, and anybody's by root. */
bool ga_leaf_is_ours_to_remove(int folder, const char *name);
/*
 * Counts how many leaves of each user were looked at: two thousand at most. The rest are passed
 * over, because each look into the ledger costs time.
 */
struct ga_crowd {
	unsigned short seen[256]; /* users whose uids are equal modulo 256 share one */
};

bool ga_crowd_admits(struct ga_crowd *crowd, int folder, const char *name);

/* Removes a dead one if that is ours to do; returns whether this call removed it. */
bool ga_leaf_sweep(int folder, const char *name);

/* Splits "key value" in two; false after the last line. */
bool ga_leaf_line(struct ga_view *rest, struct ga_view *ret_key, struct ga_view *ret_value);
/* Adds a value that others may have made up, cleaned so that it fits on a line. */
void ga_leaf_add(struct ga_buffer *text, const char *key, const char *value, size_t most);

/* Exactly size hexadecimal digits, in lower case. */
bool ga_leaf_hex(const char *text, size_t size, uint64_t *ret_number);

/* The name of a user, or "uid 1234". */
void ga_leaf_user(uid_t uid, char *text, size_t size);

/* Calls each() for every name in the folder that is short enough for a leaf. */
int ga_leaf_each(int folder, int (*each)(void *context, const char *name), void *context);

#endif
