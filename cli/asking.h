/* SPDX-License-Identifier: Apache-2.0 */
/* The line on a terminal that says what a slow driver is asked. */
#ifndef CLI_ASKING_H
#define CLI_ASKING_H

#include "command.h"

/* NULL where nobody is to be told: standard error is no terminal, or --quiet was given. */
gpualloc_waiting_function *asking_teller(const struct call *call);

#endif
