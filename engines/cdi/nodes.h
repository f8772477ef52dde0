/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files in /dev that a program needs to use GPUs. They are found below a root, "" for this
 * machine, and named as on the machine whose root it is.
 */
#ifndef CDI_NODES_H
#define CDI_NODES_H

#include "buffer.h"
#include "error.h"

#include <stdbool.h>
#include <stdint.h>

/* A device as its files know it: the minor number of its GPU, and the ids of a MIG instance. */
struct cdi_device {
	int64_t minor;
	int64_t gi, ci; /* both -1 for a whole GPU */
};

enum { CDI_NODE_SIZE = 64 };

/* Where a machine's files are looked for. */
struct cdi_place {
	const char *root;        /* NULL: nowhere, for a machine that is not here */
	bool is_simulated;       /* without files, numbers are as NVIDIA's documents count them */
	struct ga_buffer minors; /* MIG_MINORS, when it has been read */
	bool has_read_minors;
};

void cdi_place_free(struct cdi_place *place);

struct cdi_nodes {
	char (*paths)[CDI_NODE_SIZE]; /* each once */
	size_t count;
};

void cdi_nodes_free(struct cdi_nodes *nodes);
/* What every program opens; of nvidia-uvm-tools and nvidia-modeset only what is there. */
int cdi_nodes_add_common(struct cdi_nodes *nodes, const struct cdi_place *place);
/*
 * The device's own. GPUALLOC_EDATA if its minor number is not known, or after the GPU's own file
 * has been added, if the capability files of a MIG instance are not.
 */
int cdi_nodes_add_device(struct cdi_nodes *nodes, struct cdi_place *place,
			 const struct cdi_device *device);

#endif
