/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of hwloc that binding needs, as pointers: the library is loaded, not linked. */
#ifndef GA_LAUNCH_HWLOC_LIBRARY_H
#define GA_LAUNCH_HWLOC_LIBRARY_H

#include "error.h"

#include <hwloc.h>

/* The types come from hwloc's own declarations, so they cannot differ. */
/* clang-format off */
#define GA_HWLOC_FUNCTIONS(X)                                                                   \
	X(bitmap_alloc) X(bitmap_and) X(bitmap_free) X(bitmap_intersects) X(bitmap_iszero)      \
	X(bitmap_list_asprintf) X(bitmap_or) X(bitmap_set_range) X(get_api_version)             \
	X(get_cpubind) X(get_membind) X(get_obj_by_depth) X(set_cpubind) X(set_membind)         \
	X(topology_destroy) X(topology_get_allowed_cpuset) X(topology_get_allowed_nodeset)      \
	X(topology_init) X(topology_load)
/* clang-format on */

struct ga_hwloc {
	void *library;
#define GA_HWLOC_MEMBER(name) __typeof__(&hwloc_##name) name;
	GA_HWLOC_FUNCTIONS(GA_HWLOC_MEMBER)
#undef GA_HWLOC_MEMBER
};

int ga_hwloc_load(struct ga_hwloc *ret_hwloc, gpualloc_error *error);
void ga_hwloc_unload(struct ga_hwloc *hwloc);
#define ga_auto_hwloc ga_cleanup(ga_hwloc_unload)

#endif
