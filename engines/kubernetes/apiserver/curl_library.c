/* SPDX-License-Identifier: Apache-2.0 */
/* Loading libcurl; see curl_library.h. */
#include "curl_library.h"

#include "symbols.h"

#include <dlfcn.h>
#include <stddef.h>

static const struct ga_symbol symbols[] = {
#define SYMBOL(name) {"curl_" #name, offsetof(struct curl_library, name)},
	CURL_FUNCTIONS(SYMBOL)
#undef SYMBOL
};

static int unusable(const char *why, gpualloc_error *error)
{
	return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
			    "the API server is asked with libcurl (libcurl.so.4, Debian's package "
			    "libcurl4), which cannot be loaded: %s",
			    why);
}

int curl_library_load(struct curl_library *ret_curl, gpualloc_error *error)
{
	void *library = dlopen("libcurl.so.4", RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
	struct curl_library curl = {0};
	const char *why;

	why = ga_symbols_find(library, symbols, sizeof symbols / sizeof *symbols, &curl);
	if (why)
		return unusable(why, error);
	if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return unusable("it does not start", error);
	*ret_curl = curl;
	return 0;
}
