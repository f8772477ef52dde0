/* SPDX-License-Identifier: Apache-2.0 */
/* Which store a command uses: everybody's, the one in the environment, or the user's own. */
#ifndef CLI_STORES_H
#define CLI_STORES_H

#include "command.h"

/*
 * For commands that lease. On a real machine only --private goes around everybody's store: a lease
 * that others do not see protects nothing. Returns 0, or after a message the exit status of the
 * failure.
 */
int store_to_lease(const struct call *call, gpualloc_store **ret_store);

/*
 * For commands that only look. *ret_store is NULL if there is no store, which means no leases. A
 * store that cannot be trusted counts as none, with a note, unless the user asked for the leases.
 * Returns as above.
 */
enum store_use { STORE_FOR_LEASES, STORE_FOR_DEVICES };
int store_to_look(const struct call *call, enum store_use use, gpualloc_store **ret_store);

/* The store that the call would look at, without a word; NULL if there is none. */
gpualloc_store *store_quietly(const struct call *call);

/* Lets the machine's devices know their leases. Returns 0 or the exit status, as above. */
int add_leases(const struct call *call, gpualloc_machine *machine);

/*
 * Lets the machine's devices know what /etc/gpualloc.conf says about them. Its mistakes are a
 * refusal, or with only_notes just notes.
 */
int add_config(const struct call *call, gpualloc_machine *machine, bool only_notes);

/*
 * A note if a fence stands around this machine's GPUs and asks another store than this one (NULL:
 * there is no lease).
 */
void store_warn_of_fence(const struct call *call, const char *store);

/* Whether the default is everybody's store, and not one that the environment names. */
bool store_is_for_everybody(void);

/* It is certain that there is none; it does not just fail to open. */
bool store_is_absent(const char *path);

/* Whether the call is about the GPUs of this machine, not about a file or a built-in machine. */
bool is_real_machine(const struct call *call);

#endif
