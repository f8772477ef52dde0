/* SPDX-License-Identifier: Apache-2.0 */
/* gpualloc setup --fence: the fence around this machine's GPUs is put up, looked at, taken down. */
#ifndef CLI_SETUP_FENCE_H
#define CLI_SETUP_FENCE_H

#include "command.h"

/* All return 0, or the exit status after a message. */
int setup_fence(const struct call *call);
/* A store that the fence asks stays: without it nobody could open a GPU. */
int setup_fence_spares(const char *store);
/* After a store was set up: a fence that asks the ledger that was there before asks this one. */
int setup_fence_follows(const struct call *call, const char *store);

#endif
