/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names that people give devices: an index, a UUID or a unique prefix of one, a PCI address,
 * parent:gi[:ci] for a MIG instance, and ranges of indices, in lists with commas.
 */
#ifndef GA_MACHINE_DEVICE_ID_H
#define GA_MACHINE_DEVICE_ID_H

#include "machine.h"

struct ga_device_list {
	const gpualloc_device **devices; /* GPUs and instances, each once, in the order named */
	size_t count;
};

void ga_device_list_free(struct ga_device_list *list);
#define ga_auto_device_list ga_cleanup(ga_device_list_free)

/* Reads such a list. A name that matches no device, or several, is GPUALLOC_EUSAGE. */
int ga_device_list_parse(const gpualloc_machine *machine, const char *text,
			 struct ga_device_list *ret_list, gpualloc_error *error);
/* Whether the device itself, or the GPU of an instance, is in the list. */
bool ga_device_list_has(const struct ga_device_list *list, const gpualloc_device *device);
int ga_device_list_add(struct ga_device_list *list, const gpualloc_device *device);

/* How messages name a device: its index, or parent:gi:ci. */
enum { GA_DEVICE_ID_SIZE = 64 };
const char *ga_device_id(const gpualloc_device *device, char text[static GA_DEVICE_ID_SIZE]);
/*
 * The ids of several in the form in which a list is read, "0-3,1:7:0"; as snprintf. Three
 * consecutive indices make a range.
 */
size_t ga_device_ids(const gpualloc_device *const *devices, size_t count, char *text, size_t size);

#endif
