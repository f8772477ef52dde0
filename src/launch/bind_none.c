/* SPDX-License-Identifier: Apache-2.0 */
/* Replaces bind.c in a build without hwloc. */
#include "bind.h"

int ga_bind_check(gpualloc_error *error)
{
	return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
			    "this gpualloc was built without hwloc and cannot bind");
}

int ga_bind(const gpualloc_device *const *devices, size_t count, char **ret_where,
	    gpualloc_error *error)
{
	(void)devices;
	(void)count;
	(void)ret_where;
	return ga_bind_check(error);
}
