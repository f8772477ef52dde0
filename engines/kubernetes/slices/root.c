/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one link; see root.h. */
#include "root.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool pci_bus_id(const char *pci, char text[static ROOT_SIZE])
{
	unsigned domain, bus, slot, function;
	int used = 0;

	if (sscanf(pci, "%8x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &used) != 4 ||
	    pci[used])
		return false;
	(void)snprintf(text, ROOT_SIZE, "%04x:%02x:%02x.%x", domain, bus, slot, function);
	return true;
}

bool pcie_root(const char *sys, const char *pci, char text[static ROOT_SIZE])
{
	char id[ROOT_SIZE], path[PATH_MAX], target[PATH_MAX];
	const char *at;
	ssize_t size;

	if (!pci_bus_id(pci, id))
		return false;
	(void)snprintf(path, sizeof path, "%s/bus/pci/devices/%s", sys, id);
	size = readlink(path, target, sizeof target - 1);
	if (size < 0)
		return false;
	target[size] = '\0';
	/* "../../../devices/pci0000:3a/0000:3a:00.0/…" */
	at = strstr(target, "/devices/pci");
	if (!at)
		return false;
	at += strlen("/devices/");
	size = (ssize_t)strcspn(at, "/");
	if (size >= ROOT_SIZE)
		return false;
	(void)snprintf(text, ROOT_SIZE, "%.*s", (int)size, at);
	return true;
}
