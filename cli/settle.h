/* SPDX-License-Identifier: Apache-2.0 */
/* Makes sure a grant can be used: on a real machine the last holder's processes may still be
 * ending. */
#ifndef CLI_SETTLE_H
#define CLI_SETTLE_H

#include "command.h"

/*
 * Waits, for at most 10 seconds, until no process is seen on the lease's devices. Returns 0, or 75
 * after saying who is still there.
 */
int settle(const struct call *call, const gpualloc_lease *lease);

#endif
