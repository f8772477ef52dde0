/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many devices a user's leases have, according to the records and to the kernel: the number
 * that max-devices limits.
 */
#ifndef GA_LEASE_LIMIT_H
#define GA_LEASE_LIMIT_H

#include "record.h"

/*
 * A lease within a lease counts as part of the outer one. only_agents: what agents of the user
 * have.
 */
int64_t ga_limit_held(const struct ga_records *records, uid_t user, bool only_agents);

/*
 * Our devices in leases whose records are missing from the list, as far as the kernel shows them in
 * processes that we may look into. Root may look into all processes and is not counted this way.
 */
int64_t ga_limit_unrecorded(const struct ga_store *store, const struct ga_records *records);

#endif
