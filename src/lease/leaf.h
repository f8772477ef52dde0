/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaves: the small files that holders and waiters leave in sticky folders, for others to read.
 * Lines of a key and a value. They are only information; who reads one trusts nothing but its
 * owner's uid. A leaf is whole from the moment it has a name.
 */
#ifndef GA_LEASE_LEAF_H
#define GA_LEASE_LEAF_H

#include "buffer.h"
#include "error.h"
#include "text.h"

#include <sys/stat.h>

enum { GA_LEAF_MAX = 4096, GA_LEAF_NAME = 16 };

/* -EEXIST where the name is taken, else 0 or another negative errno. */
int ga_leaf_write(int folder, const char *name, const struct ga_buffer *text);
/* False where there is no such leaf, or none that could be one. */
bool ga_leaf_read(int folder, const char *name, struct ga_buffer *text, struct stat *ret_status);
bool ga_leaf_is_ours(int folder, const char *name);
/*
 * Whose leaves are looked at: of one user two thousand. Whatever else lies there is passed over,
 * for each look into the ledger costs.
 */
struct ga_crowd {
	unsigned short seen[256]; /* users share one where their numbers are alike */
};

bool ga_crowd_admits(struct ga_crowd *crowd, int folder, const char *name);

/* Removes a dead one, where it is ours to remove; whether it was this call that did. */
bool ga_leaf_sweep(int folder, const char *name);

/* "key value" into two; false behind the last line. */
bool ga_leaf_line(struct ga_view *rest, struct ga_view *ret_key, struct ga_view *ret_value);
/* A value that others may have made up, fit to be put on a line. */
void ga_leaf_add(struct ga_buffer *text, const char *key, const char *value, size_t most);

/* Hexadecimal of exactly size digits, lower case. */
bool ga_leaf_hex(const char *text, size_t size, uint64_t *ret_number);

/* The name of a user, or "uid 1234". */
void ga_leaf_user(uid_t uid, char *text, size_t size);

/* Calls each for every name in the folder that is short enough for a leaf. */
int ga_leaf_each(int folder, int (*each)(void *context, const char *name), void *context);

#endif
