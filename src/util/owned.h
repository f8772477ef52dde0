/* SPDX-License-Identifier: Apache-2.0 */
/* Locals that own public objects, for programs: auto_… releases them at the end of the scope. */
#ifndef GA_UTIL_OWNED_H
#define GA_UTIL_OWNED_H

#include "cleanup.h"

#include <gpualloc/gpualloc.h>

/* Defines free_NAME(), which frees what a local points to. */
#define GA_OWNED(name, type)                        \
	static inline void free_##name(type **name) \
	{                                           \
		type##_free(*name);                 \
	}

/* clang-format off */
GA_OWNED(machine, gpualloc_machine)
GA_OWNED(error, gpualloc_error)
GA_OWNED(store, gpualloc_store)
GA_OWNED(request, gpualloc_request)
GA_OWNED(policy, gpualloc_policy)
GA_OWNED(choice, gpualloc_choice)
GA_OWNED(question, gpualloc_question)
GA_OWNED(wish, gpualloc_lease_wish)
GA_OWNED(lease, gpualloc_lease)
GA_OWNED(leases, gpualloc_leases)
/* clang-format on */

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
