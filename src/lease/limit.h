/* SPDX-License-Identifier: Apache-2.0 */
/* How many devices a user's leases have, as records tell it, and the kernel beside them: what
 * max-devices is held against. */
#ifndef GA_LEASE_LIMIT_H
#define GA_LEASE_LIMIT_H

#include "record.h"

/* What a lease within a lease has counts with the outer one. */
int64_t ga_limit_held(const struct ga_records *records, uid_t user);

/*
 * Devices of ours in leases whose records are missing from the list, as far as the kernel shows
 * them in processes that we may look into. Root, who may look into all, is not counted so.
 */
int64_t ga_limit_unrecorded(const struct ga_store *store, const struct ga_records *records);

#endif
