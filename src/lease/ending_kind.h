/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kind of process has a lease, or should have it, according to /proc. The process itself
 * chooses what /proc says, so this decides what is shown and asked, and never whether it may be
 * ended.
 */
#ifndef GA_LEASE_ENDING_KIND_H
#define GA_LEASE_ENDING_KIND_H

#include "ending.h"

/* Fills in kind and command for its pid. GPUALLOC_ENOMEM or 0. */
int ga_ending_describe(struct gpualloc_holder *end);

/* Adds those that were told about the lease and do not have it. */
int ga_ending_add_without(gpualloc_holders *holders, gpualloc_error *error);

#endif
