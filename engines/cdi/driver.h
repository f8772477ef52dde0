/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's libraries and programs on a machine, and where a container has to find them.
 *
 * Each library is mounted under every name that it has on the machine, so that nothing has to be
 * run in the container to make links. It is mounted into the folders that the loaders of Debian's
 * and of Red Hat's families search by themselves, so that no cache has to be made either.
 */
#ifndef CDI_DRIVER_H
#define CDI_DRIVER_H

#include "error.h"

#include <stddef.h>

struct cdi_mount {
	char *host, *container; /* host: as on the machine whose root it is */
};

struct cdi_mounts {
	struct cdi_mount *list; /* in the order of the container's paths */
	size_t count;
};

void cdi_mounts_free(struct cdi_mounts *mounts);
/*
 * What there is of the driver below root. version may be NULL: then any. Finding nothing is no
 * failure: the list is empty.
 */
int cdi_driver_find(const char *root, const char *version, struct cdi_mounts *ret_mounts,
		    gpualloc_error *error);

#endif
