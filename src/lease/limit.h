/* SPDX-License-Identifier: Apache-2.0 */
/* How many devices a user's leases have, as records tell it: what max-devices is held against. */
#ifndef GA_LEASE_LIMIT_H
#define GA_LEASE_LIMIT_H

#include "record.h"

/* What a lease within a lease has counts with the outer one. */
int64_t ga_limit_held(const struct ga_records *records, uid_t user);

#endif
