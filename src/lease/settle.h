/* SPDX-License-Identifier: Apache-2.0 */
/* A grant that can be used: on a real machine the last holder's processes may still be ending. */
#ifndef GA_LEASE_SETTLE_H
#define GA_LEASE_SETTLE_H

#include "lease.h"

/*
 * Waits, 10 seconds at most, until nobody is seen on the lease's devices any more; GPUALLOC_EBUSY
 * says who is still there. Who shares devices, or is within a lease, has company and does not wait.
 * spec is as gpualloc_machine_open() takes it.
 */
int ga_lease_settle(const gpualloc_lease *lease, const char *spec, unsigned deadline_ms,
		    gpualloc_error *error);

#endif
