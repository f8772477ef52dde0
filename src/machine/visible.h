/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CUDA_VISIBLE_DEVICES lets a program see, read as the driver reads it: the list ends at the
 * first entry that names nothing, and if a device is named twice nothing is visible at all.
 */
#ifndef GA_MACHINE_VISIBLE_H
#define GA_MACHINE_VISIBLE_H

#include "device_id.h"

/* The two variables; NULL where they are not set. */
struct ga_environment {
	const char *visible_devices; /* CUDA_VISIBLE_DEVICES */
	const char *device_order;    /* CUDA_DEVICE_ORDER */
};

/*
 * The visible devices, in the order in which a framework numbers them. With visible_devices NULL
 * these are all GPUs (for a GPU in MIG mode its first instance, as the driver shows it). If indices
 * are ambiguous (several models that are not numbered by PCI, or ga_cuda_order() refuses), it fails
 * with GPUALLOC_EUSAGE, or GPUALLOC_EIMPOSSIBLE if the user gave no numbers.
 */
int ga_visible_devices(const gpualloc_machine *machine, const struct ga_environment *environment,
		       struct ga_device_list *ret_list, gpualloc_error *error);

#endif
