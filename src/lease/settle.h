/* SPDX-License-Identifier: Apache-2.0 */
/* Making sure that a grant can be used: the last holder's processes may still be ending. */
#ifndef GA_LEASE_SETTLE_H
#define GA_LEASE_SETTLE_H

#include "lease.h"

/*
 * Waits, 10 seconds at most, until nobody is seen on the lease's devices any more; GPUALLOC_EBUSY
 * says who is still there. A lease that shares devices, or lies within a lease, has company and
 * does not wait. spec is what gpualloc_machine_open() takes.
 */
int ga_lease_settle(const gpualloc_lease *lease, const char *spec, unsigned deadline_ms,
		    gpualloc_error *error);

#endif
