/* SPDX-License-Identifier: Apache-2.0 */
/* Removes from a machine what reveals whose it is; its structure stays the same. */
#ifndef GA_MACHINE_ANONYMISE_H
#define GA_MACHINE_ANONYMISE_H

#include "machine.h"

/* UUIDs, serial numbers, users, process names, the machine's name. Equal names stay equal. */
int ga_machine_anonymise(gpualloc_machine *machine, gpualloc_error *error);

#endif
