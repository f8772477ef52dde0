/* SPDX-License-Identifier: Apache-2.0 */
/* The request, and mistakes in it that show without a machine; see request.h. */
#include "request.h"

#include "cleanup.h"

#include <stdlib.h>

gpualloc_request *ga_request_new(void)
{
	gpualloc_request *request = calloc(1, sizeof *request);

	if (!request)
		return NULL;
	request->memory = GA_UNKNOWN;
	request->tolerate = GA_UNKNOWN;
	return request;
}

void ga_request_free(gpualloc_request *request)
{
	if (!request)
		return;
	free(request->profile);
	free(request->model);
	free(request->only);
	free(request->exclude);
	free(request->require);
	free(request->visible);
	free(request->device_order);
	free(request);
}

const struct ga_policy *ga_request_policy(const gpualloc_request *request)
{
	if (request->policy)
		return request->policy->built_in;
	return request->mig || request->share ? &ga_policy_pack : &ga_policy_balanced;
}

bool ga_request_by_memory(const gpualloc_request *request)
{
	const struct ga_policy *policy = ga_request_policy(request);

	if (request->share || request->alone)
		return request->share;
	return policy && policy->by_memory;
}

int ga_request_check(const gpualloc_request *request, gpualloc_error *error)
{
	const struct ga_policy *policy = ga_request_policy(request);

	if (request->count < 0)
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "cannot ask for %lld devices; ask for 1 or more",
				    (long long)request->count);
	if (request->share && request->memory <= 0)
		return ga_error_remedy(
			error,
			ga_error_set(error, GPUALLOC_EUSAGE,
				     "a share needs an amount of memory; say how much"),
			GPUALLOC_REMEDY_SAY_MEMORY);
	if (policy && policy->by_topology && (request->mig || request->share))
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "policy %s looks at links, which %s do not have; use pack, "
				    "spread, best-fit, worst-fit, random or simple",
				    policy->name, request->mig ? "MIG instances" : "shares");
	return 0;
}
