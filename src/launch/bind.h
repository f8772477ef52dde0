/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Binds to the CPUs and the memory near devices, never to more than is allowed already. Only this
 * uses hwloc, which is loaded when it is needed.
 */
#ifndef GA_LAUNCH_BIND_H
#define GA_LAUNCH_BIND_H

#include "machine.h"

/* As gpualloc_bind_check() and gpualloc_bind() in the public header. */
int ga_bind_check(gpualloc_error *error);
int ga_bind(const gpualloc_device *const *devices, size_t count, char **ret_where,
	    gpualloc_error *error);

#endif
