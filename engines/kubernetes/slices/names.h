/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of devices in ResourceSlices, which is all that a claim says of what it got: "gpu-3",
 * "gpu-3-mig-7-0" (GPU instance 7, compute instance 0), "set-0-3" (GPUs 0 and 3 together; where
 * that is too long, "set-x00000009", a bit a GPU). The number is the unit's label, which stays with
 * its UUID.
 */
#ifndef SLICES_NAMES_H
#define SLICES_NAMES_H

#include "inventory.h"

enum { NAME_SIZE = 64, SET_MOST = 32 };

void name_of_unit(const struct unit *unit, char name[static NAME_SIZE]);
/* labels: a bit for each GPU's. */
void name_of_set(uint32_t labels, char name[static NAME_SIZE]);

/*
 * The units that a device of this name consists of, in order of their index. GPUALLOC_ENOTFOUND if
 * there is no such device now, or not all of it.
 */
int name_resolve(const struct inventory *inventory, const char *name,
		 const struct unit *ret_units[static SET_MOST], size_t *ret_count,
		 gpualloc_error *error);

#endif
