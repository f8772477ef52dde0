/* SPDX-License-Identifier: Apache-2.0 */
/* Where a device is on the PCI bus, in Kubernetes' words. */
#ifndef SLICES_ROOT_H
#define SLICES_ROOT_H

#include <stdbool.h>

enum { ROOT_SIZE = 64 };

/* "00000000:3B:00.0" as Linux writes it: "0000:3b:00.0". False if it is no such address. */
bool pci_bus_id(const char *pci, char text[static ROOT_SIZE]);
/* The root complex, "pci0000:3a", as the folder sys tells ("/sys"); false if it does not. */
bool pcie_root(const char *sys, const char *pci, char text[static ROOT_SIZE]);

#endif
