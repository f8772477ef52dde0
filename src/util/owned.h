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

#define auto_machine ga_cleanup(free_machine)
#define auto_error ga_cleanup(free_error)
#define auto_store ga_cleanup(free_store)

#endif
