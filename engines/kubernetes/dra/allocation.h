/* SPDX-License-Identifier: Apache-2.0 */
/* What the scheduler has given a ResourceClaim, as far as it is ours, out of the API server's JSON.
 */
#ifndef DRA_ALLOCATION_H
#define DRA_ALLOCATION_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>

enum { ALLOCATION_NAME = 256, ALLOCATION_RESULTS_MOST = 32 };

/* One device of ours. */
struct allocation_result {
	char request[ALLOCATION_NAME]; /* of the claim, without an alternative's name */
	char device[ALLOCATION_NAME];
	bool is_admin; /* access beside whoever has the device */
};

struct allocation {
	struct allocation_result results[ALLOCATION_RESULTS_MOST];
	size_t count;
};

/*
 * Of the claim with this uid: the devices of this driver, which are all in this pool. Anything else
 * is GPUALLOC_EDATA with a sentence for the pod's owner.
 */
int allocation_read(const json_t *claim, const char *uid, const char *driver, const char *pool,
		    struct allocation *ret_allocation, gpualloc_error *error);

#endif
