/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --bind: this process, and so the command, on the CPUs and the memory near its devices. Without
 * the option each does nothing. Returns 0, or after a message the exit status of the failure.
 */
#ifndef CLI_BIND_H
#define CLI_BIND_H

#include "command.h"

/* Whether it can be done at all, asked before anybody waits for devices. */
int bind_check(const struct call *call);
int bind_to_lease(const struct call *call, const gpualloc_lease *lease);
int bind_to_choice(const struct call *call, const gpualloc_choice *choice);

#endif
