/* SPDX-License-Identifier: Apache-2.0 */
/* Loading hwloc; see hwloc_library.h. */
#include "hwloc_library.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

static const struct {
	const char *name;
	size_t place; /* in struct ga_hwloc */
} symbols[] = {
#define SYMBOL(name) {"hwloc_" #name, offsetof(struct ga_hwloc, name)},
	GA_HWLOC_FUNCTIONS(SYMBOL)
#undef SYMBOL
};

static int unusable(struct ga_hwloc *hwloc, const char *why, gpualloc_error *error)
{
	ga_hwloc_unload(hwloc);
	return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
			    "binding needs hwloc 2 (libhwloc.so.15), which cannot be loaded: %s",
			    why ? why : "no reason was given");
}

int ga_hwloc_load(struct ga_hwloc *ret_hwloc, gpualloc_error *error)
{
	struct ga_hwloc hwloc = {.library = dlopen("libhwloc.so.15", RTLD_LAZY | RTLD_LOCAL)};

	if (!hwloc.library)
		return unusable(&hwloc, dlerror(), error);
	for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
		void *address = dlsym(hwloc.library, symbols[i].name);

		if (!address)
			return unusable(&hwloc, dlerror(), error);
		/* A function's address comes as a void *; C only lets us copy its bytes. */
		memcpy((char *)&hwloc + symbols[i].place, &address, sizeof address);
	}
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
