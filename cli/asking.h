/* SPDX-License-Identifier: Apache-2.0 */
/* The line on a terminal that says what a slow driver is being asked. */
#ifndef CLI_ASKING_H
#define CLI_ASKING_H

#include "command.h"

/* NULL if nobody should be told: standard error is not a terminal, or --quiet was given. */
gpualloc_waiting_function *asking_teller(const struct call *call);

#endif
