/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CDI document (github.com/cncf-tags/container-device-interface): what a container engine has to
 * put into a container for each device. It says the lowest version that it needs, for engines
 * refuse those that they do not know yet.
 */
#ifndef CDI_DOCUMENT_H
#define CDI_DOCUMENT_H

#include "nodes.h"

#define CDI_KIND "nvidia.com/gpu"

/* What engines call one device, and which GPUs or MIG instances that brings. */
struct cdi_entry {
	const char *name;
	const struct cdi_device *devices;
	size_t count;
};

struct cdi_asked {
	const char *kind;   /* VENDOR/CLASS */
	const char *driver; /* its version; NULL: whichever is there */
	const char *host;   /* before each path on the host; "" but in tests */
	struct cdi_place
		*place; /* where the files are; without a root no libraries are looked for */
	const struct cdi_entry *entries; /* at least one */
	size_t count;
};

/* What was found, for a caller who tells somebody. */
struct cdi_written {
	size_t libraries; /* mounts of the driver's libraries and programs */
	bool lacks_uvm;   /* /dev/nvidia-uvm is in it, and not there */
};

/* GPUALLOC_EUSAGE for a kind or a name that CDI does not allow, GPUALLOC_EDATA for a device whose
 * files are not known; the sentence names it. */
int cdi_write(const struct cdi_asked *asked, struct ga_buffer *out, struct cdi_written *ret_written,
	      gpualloc_error *error);

bool cdi_kind_is_valid(const char *kind);
bool cdi_name_is_valid(const char *name);

#endif
