/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kind of process has a lease, or should have it, according to /proc. The process itself
 * chooses its words in /proc, so they decide what is shown and asked, and never whether it may be
 * ended. Whose it is the kernel says, and that decides.
 */
#ifndef GA_LEASE_ENDING_KIND_H
#define GA_LEASE_ENDING_KIND_H

#include "ending.h"

/* Fills in kind and command for its pid. GPUALLOC_ENOMEM or 0. */
int ga_ending_describe(struct gpualloc_holder *end, int64_t user);

/*
 * Whose a lease without a record is: the user of all who have it, or GA_UNKNOWN. The kernel says
 * whose a process is.
 */
int64_t ga_ending_user(const struct ga_holders *found);

/* Adds those that were told about the lease and do not have it. */
int ga_ending_add_without(gpualloc_holders *holders, gpualloc_error *error);

#endif
