/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the administrator allows what is asked for: max-devices and max-hold for everybody,
 * agent-max-devices and agent-max-hold besides for programs that ask on behalf of a user. A lease
 * within a lease is part of the outer one.
 */
#ifndef GA_LEASE_ALLOWED_H
#define GA_LEASE_ALLOWED_H

#include "acquire.h"

/* How long. GPUALLOC_EIMPOSSIBLE if it is too long. */
int ga_allowed_time(const struct ga_acquiring *acquiring, gpualloc_error *error);

/* Whether devices are counted at all. */
bool ga_allowed_is_limited(const struct ga_acquiring *acquiring);
/*
 * How many at once. GPUALLOC_EIMPOSSIBLE if they are too many. What is never allowed need not be
 * waited for, so this is said before what is busy.
 */
int ga_allowed_count(const struct ga_acquiring *acquiring, int64_t count, gpualloc_error *error);
/* How many now, beside what is held. Also GPUALLOC_EBUSY. */
int ga_allowed_now(const struct ga_acquiring *acquiring, size_t count, gpualloc_error *error);

#endif
