/* SPDX-License-Identifier: Apache-2.0 */
/* Loading hwloc; see hwloc_library.h. */
#include "hwloc_library.h"

#include "symbols.h"

#include <dlfcn.h>
#include <stddef.h>

static const struct ga_symbol symbols[] = {
#define SYMBOL(name) {"hwloc_" #name, offsetof(struct ga_hwloc, name)},
	GA_HWLOC_FUNCTIONS(SYMBOL)
#undef SYMBOL
};

static int unusable(struct ga_hwloc *hwloc, const char *why, gpualloc_error *error)
{
	int result = ga_error_set(
		error, GPUALLOC_EIMPOSSIBLE,
		"binding needs hwloc 2 (libhwloc.so.15), which cannot be loaded: %s", why);

	/* Last, for it makes what dlerror() has said invalid. */
	ga_hwloc_unload(hwloc);
	return result;
}

int ga_hwloc_load(struct ga_hwloc *ret_hwloc, gpualloc_error *error)
{
	struct ga_hwloc hwloc = {.library = dlopen("libhwloc.so.15", RTLD_LAZY | RTLD_LOCAL)};
	const char *why;

	why = ga_symbols_find(hwloc.library, symbols, sizeof symbols / sizeof *symbols, &hwloc);
	if (why)
		return unusable(&hwloc, why, error);
	if (hwloc.get_api_version() >> 16 != HWLOC_API_VERSION >> 16)
		return unusable(&hwloc, "it is of another version", error);
	*ret_hwloc = hwloc;
	return 0;
}

void ga_hwloc_unload(struct ga_hwloc *hwloc)
{
	if (hwloc->library)
		(void)dlclose(hwloc->library);
	hwloc->library = NULL;
}
