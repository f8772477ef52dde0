/* SPDX-License-Identifier: Apache-2.0 */
/* A device in words, the same wherever the command names one. */
#ifndef CLI_DEVICE_H
#define CLI_DEVICE_H

#include <gpualloc/gpualloc.h>

/* "1" for a GPU, "1:7:0" for an instance of it; "-" for a number that is not known. Returns id. */
enum { ID_SIZE = 72 };
const char *device_id(const gpualloc_device *device, char id[static ID_SIZE]);

/* Why a device is not free; "" if it is. The caller frees the text; NULL if there is no memory. */
char *device_reason(const gpualloc_device *device);

#endif
