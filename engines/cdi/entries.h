/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices of a machine under the names that people expect: a GPU's index and UUID, a MIG
 * instance's GPU:PLACE and UUID, and `all`. A GPU in MIG mode is not a device, its instances are.
 */
#ifndef CDI_ENTRIES_H
#define CDI_ENTRIES_H

#include "document.h"

struct cdi_entries {
	struct cdi_entry *list;
	char **names; /* of each */
	size_t count;
	struct cdi_device *devices; /* that entries point into, in order; `all` has all of them */
	size_t device_count;
	const gpualloc_device **left_out; /* whose files are not known */
	size_t left_out_count;
};

struct cdi_device cdi_device_of(const gpualloc_device *device);
void cdi_entries_free(struct cdi_entries *entries);
/* False when out of memory. The machine must outlive the entries. */
bool cdi_entries_read(const gpualloc_machine *machine, struct cdi_place *place,
		      struct cdi_entries *ret_entries);

#endif
