/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --bind: this process, and so the command, on the CPUs and the memory near its devices. Each does
 * nothing without the option and returns 0, or the exit status of a failure that has been said.
 */
#ifndef CLI_BIND_H
#define CLI_BIND_H

#include "command.h"

/* Whether it can be done at all: nobody waits for devices first. */
int bind_check(const struct call *call);
int bind_to_lease(const struct call *call, const gpualloc_lease *lease);
int bind_to_choice(const struct call *call, const gpualloc_choice *choice);

#endif
