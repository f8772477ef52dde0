/* SPDX-License-Identifier: Apache-2.0 */
/* Owning locals: what they hold is released at the end of the scope. */
#ifndef SLURM_CLEANUP_H
#define SLURM_CLEANUP_H

#include <gpualloc/gpualloc.h>
#include <stdlib.h>

#define auto_call(function) __attribute__((cleanup(function)))

static inline void free_pointer(void *pointer)
{
	free(*(void **)pointer);
}

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

#define auto_free auto_call(free_pointer)
#define auto_machine auto_call(free_machine)
#define auto_error auto_call(free_error)
#define auto_store auto_call(free_store)

#endif
