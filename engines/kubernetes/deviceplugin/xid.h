/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's errors as the kernel's log has them: "NVRM: Xid (PCI:0000:3b:00): 79, …". */
#ifndef DEVICEPLUGIN_XID_H
#define DEVICEPLUGIN_XID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct xid {
	int64_t number;
	int64_t domain, bus, device; /* PCI */
	int64_t gi;                  /* of the MIG instance; -1: of the whole GPU */
};

/*
 * Reads a record of /dev/kmsg, or the message alone. false: it is about something else, or a
 * program said it and not the kernel.
 */
bool xid_read(const char *line, size_t size, struct xid *ret_xid);
/* Whether it is about the GPU at this PCI address, "00000000:3B:00.0". */
bool xid_is_at(const struct xid *xid, const char *pci);

#endif
