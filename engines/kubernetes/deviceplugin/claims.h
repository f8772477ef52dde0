/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which device ids pods have: from Allocate on, and by what the kubelet says of the pods there are.
 * The kubelet never tells when a pod has gone, so its list is what counts.
 */
#ifndef DEVICEPLUGIN_CLAIMS_H
#define DEVICEPLUGIN_CLAIMS_H

#include "inventory.h"
#include "keeper.h"
#include "messages.h"

enum { DEVICE_ID = UNIT_ID + 16 };

struct claim {
	char id[DEVICE_ID];
	bool is_seen; /* in the kubelet's list */
	bool is_in_list;
	int64_t since;
};

struct claims {
	struct claim *list;
	size_t count;
};

struct claim *claims_find(const struct claims *claims, const char *id);
/* Again for one that is there: as if it were new. Returns 1 if it is new, 0, or GPUALLOC_ENOMEM. */
int claims_add(struct claims *claims, const char *id, int64_t now);
void claims_drop(struct claims *claims, const char *id);
/* As if all had been given out now: what the kubelet's list lacks is not gone for that. */
void claims_doubt(struct claims *claims, int64_t now);
void claims_free(struct claims *claims);

/*
 * Takes over the kubelet's list, which was asked for at asked_at. What was given out since is left
 * alone; what no pod has any more is dropped; what never was in the list is dropped after
 * pod_wait_ms. Returns how many were dropped, or GPUALLOC_ENOMEM.
 */
int claims_take_list(struct claims *claims, const V1__ListPodResourcesResponse *list,
		     const struct settings *settings, int64_t asked_at, int64_t now);
/* The units that pods have. */
int claims_units(const struct claims *claims, struct units_wanted *ret_wanted);

#endif
