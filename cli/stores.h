/* SPDX-License-Identifier: Apache-2.0 */
/* Which store of leases a command uses: everybody's, one that the environment names, or one's own.
 */
#ifndef CLI_STORES_H
#define CLI_STORES_H

#include "command.h"

/*
 * For who leases. On a real machine there is no way around everybody's store but --private: leases
 * that others do not see are none. Returns 0, or the exit status of a failure about which
 * everything has been said.
 */
int store_to_lease(const struct call *call, gpualloc_store **ret_store);

/*
 * For who only looks. *ret_store is NULL where there is none, which is as good as no leases. One
 * that cannot be trusted is that too, and said, unless the leases are what was asked for. Returns
 * as above.
 */
enum store_use { STORE_FOR_LEASES, STORE_FOR_DEVICES };
int store_to_look(const struct call *call, enum store_use use, gpualloc_store **ret_store);

/* Lets the machine's devices know their leases. Returns 0 or the exit status, as above. */
int add_leases(const struct call *call, gpualloc_machine *machine);

/*
 * Lets the machine's devices know what /etc/gpualloc.conf says of them. Its mistakes are a refusal,
 * or with only_notes sentences.
 */
int add_config(const struct call *call, gpualloc_machine *machine, bool only_notes);

/* There is none, which is more than that it cannot be looked at. */
bool store_is_absent(const char *path);

/* Whether the call is about the GPUs of this machine, and not a file or one that is built in. */
bool is_real_machine(const struct call *call);

#endif
