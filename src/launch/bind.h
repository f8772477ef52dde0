/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Binding to the CPUs and the memory near devices, never to more than is allowed already. By hwloc,
 * which only this needs: it is loaded when it is used.
 */
#ifndef GA_LAUNCH_BIND_H
#define GA_LAUNCH_BIND_H

#include "machine.h"

/* As gpualloc_bind_check() and gpualloc_bind() in the public header. */
int ga_bind_check(gpualloc_error *error);
int ga_bind(const gpualloc_device *const *devices, size_t count, char **ret_where,
	    gpualloc_error *error);

#endif
