/* SPDX-License-Identifier: Apache-2.0 */
/* The devices that a job is given, as one array that the caller frees; NULL when out of memory. */
#ifndef CLI_GIVEN_H
#define CLI_GIVEN_H

#include "command.h"

const gpualloc_device **given_by_lease(const gpualloc_lease *lease);
const gpualloc_device **given_by_choice(const gpualloc_choice *choice);

#endif
