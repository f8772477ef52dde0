/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request: how many devices, of what kind, with how much memory, and which must or must not be
 * among them. These are plain values; select.h works out what they mean on a machine.
 */
#ifndef GA_CHOOSE_REQUEST_H
#define GA_CHOOSE_REQUEST_H

#include "policy.h"
#include "visible.h"

enum ga_share { GA_WHOLE, GA_SHARE };

/* A policy of the caller's own; see gpualloc_policy_function in the public header. */
struct ga_own_policy {
	char *name;
	gpualloc_policy_function *choose;
	void *context;
};

struct gpualloc_policy {
	const struct ga_policy *built_in; /* NULL: the caller's own */
	struct ga_own_policy own;
};

struct gpualloc_request {
	int64_t count;                        /* 0: as many as are required, at least 1 */
	const struct gpualloc_policy *policy; /* NULL: the default */
	int64_t memory;                       /* each must have this much free; GA_UNKNOWN: any */
	bool share;                           /* lease only that much of each */
	bool alone;    /* for a program that needs them to itself, not just to look */
	bool mig;      /* MIG instances instead of whole GPUs */
	char *profile; /* of this profile; NULL: any */
	char *model;   /* whose name contains this; NULL: any */
	bool mixed;    /* several models may be chosen */
	char *only;    /* lists as in device_id.h; NULL: none given */
	char *exclude;
	char *require;
	bool seeded;
	uint64_t seed;
	int64_t tolerate; /* bytes of others' processes; GA_UNKNOWN: none, INT64_MAX: any */
	char *visible;    /* the inherited CUDA_VISIBLE_DEVICES; NULL: not set, or to be ignored */
	char *device_order; /* the inherited CUDA_DEVICE_ORDER */
	bool alternatives;  /* the choice should know the next best sets */
	uint64_t budget;
};

gpualloc_request *ga_request_new(void);
void ga_request_free(gpualloc_request *request);

/*
 * The policy that applies: the one named, else balanced, or pack for instances and shares; NULL if
 * the caller has its own.
 */
const struct ga_policy *ga_request_policy(const gpualloc_request *request);
/*
 * Whether only free memory counts and processes do not: for a share, and when just looking with
 * best-fit, worst-fit or random. A device that a program needs to itself must have no other
 * processes.
 */
bool ga_request_by_memory(const gpualloc_request *request);
/* GPUALLOC_EUSAGE for a request that makes no sense on any machine. */
int ga_request_check(const gpualloc_request *request, gpualloc_error *error);

#endif
