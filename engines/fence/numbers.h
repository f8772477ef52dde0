/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of device nodes, in what the kernel and the driver say of them. */
#ifndef FENCE_NUMBERS_H
#define FENCE_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The kernel's own limits. */
enum { FENCE_MAJOR_MOST = (1 << 12) - 1, FENCE_MINOR_MOST = (1 << 20) - 1 };

/* The major number under which /proc/devices has a driver of character devices. */
bool fence_major(const char *devices, const char *driver, unsigned *ret_major);
/* "226:128", the file `dev` of a device in /sys. */
bool fence_number(const char *text, dev_t *ret_number);
/* "Device Minor: 3", a line of a GPU's file in /proc/driver/nvidia/gpus. */
bool fence_minor(const char *information, unsigned *ret_minor);

enum { FENCE_PCI_SIZE = 20 };
/* The folder that /sys and /proc have for a PCI address: 0000:07:00.0 for 00000000:07:00.0. */
bool fence_pci(const char *address, char ret_folder[static FENCE_PCI_SIZE]);

#endif
