/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of a lease's devices. Frameworks build rings in this order, so neighbours are well
 * connected.
 */
#ifndef GA_CHOOSE_ORDER_H
#define GA_CHOOSE_ORDER_H

#include "machine.h"

/* Sorts GPUs of the machine. MIG instances, which have no links, stay as they are. */
int ga_order_devices(const gpualloc_machine *machine, const gpualloc_device **devices, size_t count,
		     gpualloc_error *error);

#endif
