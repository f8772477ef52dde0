/* SPDX-License-Identifier: Apache-2.0 */
/* Owning locals of the public objects, for programs: auto_… releases at the end of the scope. */
#ifndef GA_UTIL_OWNED_H
#define GA_UTIL_OWNED_H

#include "cleanup.h"

#include <gpualloc/gpualloc.h>

static inline void free_machine(gpualloc_machine **machine)
{
	gpualloc_machine_free(*machine);
}

static inline void free_error(gpualloc_error **error)
{
	gpualloc_error_free(*error);
}

static inline void free_store(gpualloc_store **store)
{
	gpualloc_store_free(*store);
}

static inline void free_request(gpualloc_request **request)
{
	gpualloc_request_free(*request);
}

static inline void free_policy(gpualloc_policy **policy)
{
	gpualloc_policy_free(*policy);
}

static inline void free_choice(gpualloc_choice **choice)
{
	gpualloc_choice_free(*choice);
}

static inline void free_question(gpualloc_question **question)
{
	gpualloc_question_free(*question);
}

static inline void free_wish(gpualloc_lease_wish **wish)
{
	gpualloc_lease_wish_free(*wish);
}

static inline void free_lease(gpualloc_lease **lease)
{
	gpualloc_lease_free(*lease);
}

static inline void free_leases(gpualloc_leases **leases)
{
	gpualloc_leases_free(*leases);
}

#define auto_machine ga_cleanup(free_machine)
#define auto_error ga_cleanup(free_error)
#define auto_store ga_cleanup(free_store)
#define auto_request ga_cleanup(free_request)
#define auto_policy ga_cleanup(free_policy)
#define auto_choice ga_cleanup(free_choice)
#define auto_question ga_cleanup(free_question)
#define auto_wish ga_cleanup(free_wish)
#define auto_lease ga_cleanup(free_lease)
#define auto_leases ga_cleanup(free_leases)

#endif
