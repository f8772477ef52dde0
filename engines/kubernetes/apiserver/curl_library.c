/* SPDX-License-Identifier: Apache-2.0 */
/* Loading libcurl; see curl_library.h. */
#include "curl_library.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

static const struct {
	const char *name;
	size_t place; /* in struct curl_library */
} symbols[] = {
#define SYMBOL(name) {"curl_" #name, offsetof(struct curl_library, name)},
	CURL_FUNCTIONS(SYMBOL)
#undef SYMBOL
};

static int unusable(const char *why, gpualloc_error *error)
{
	return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
			    "the API server is asked with libcurl (libcurl.so.4, Debian's package "
			    "libcurl4), which cannot be loaded: %s",
			    why ? why : "no reason was given");
}

int curl_library_load(struct curl_library *ret_curl, gpualloc_error *error)
{
	void *library = dlopen("libcurl.so.4", RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
	struct curl_library curl = {0};

	if (!library)
		return unusable(dlerror(), error);
	for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
		void *address = dlsym(library, symbols[i].name);

		if (!address)
			return unusable(dlerror(), error);
		/* A function's address comes as a void *; C only lets us copy its bytes. */
		memcpy((char *)&curl + symbols[i].place, &address, sizeof address);
	}
	if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return unusable("it does not start", error);
	*ret_curl = curl;
	return 0;
}
