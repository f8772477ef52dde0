/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs in the kernel look up, written and read. All descriptors are of pinned maps. */
#ifndef FENCE_MAPS_H
#define FENCE_MAPS_H

#include "bpf_library.h"
#include "fence.h"
#include "kernel.h"

/* Those that change with the rules. */
struct fence_maps {
	int settings, nodes, exempt;
};

#define FENCE_MAPS_CLOSED  \
	{                  \
		-1, -1, -1 \
	}

void fence_maps_close(struct fence_maps *maps);
#define auto_fence_maps ga_cleanup(fence_maps_close)

/* Of the fence that is pinned in that folder. */
int fence_maps_open(const struct bpf_library *bpf, const char *folder, struct fence_maps *ret_maps,
		    gpualloc_error *error);
int fence_settings_read(const struct bpf_library *bpf, const struct fence_maps *maps,
			struct fence_settings *ret_settings, gpualloc_error *error);
/*
 * The rules take the place of those that are there: what is new comes before what is old goes. The
 * settings' ledger and counts become those of the rules; the rest stays.
 */
int fence_rules_write(const struct bpf_library *bpf, const struct fence_maps *maps,
		      const struct fence_rules *rules, struct fence_settings *settings,
		      gpualloc_error *error);
int fence_rules_read(const struct bpf_library *bpf, const struct fence_maps *maps,
		     struct fence_state *state, gpualloc_error *error);

#endif
