/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits until something changes that a CDI document says: the driver, its GPUs, its MIG instances,
 * its files in /dev. It looks at what the kernel shows of them, and asks no driver.
 */
#ifndef CLI_CDI_FOLLOW_H
#define CLI_CDI_FOLLOW_H

#include "buffer.h"

#include <stdint.h>

struct cdi_follow {
	const char *root; /* of /proc and /dev; "" for this machine */
	struct ga_buffer seen;
	unsigned again; /* how often to return once more after a change */
};

void cdi_follow_free(struct cdi_follow *follow);
/* Returns after a change, at the latest after some minutes. Negative: out of memory. */
int cdi_follow_wait(struct cdi_follow *follow);

#endif
