/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl, loaded when an API server is to be asked: with TLS it takes more memory than the rest of
 * the agent, which a device plugin has no use for.
 */
#ifndef APISERVER_CURL_LIBRARY_H
#define APISERVER_CURL_LIBRARY_H

#include "error.h"

#include <curl/curl.h>

/* clang-format off */
#define CURL_FUNCTIONS(F) \
	F(global_init) F(easy_init) F(easy_setopt) F(easy_getinfo) F(easy_perform) \
	F(easy_reset) F(easy_cleanup) F(easy_strerror) F(slist_append) F(slist_free_all)
/* clang-format on */

struct curl_library {
#define MEMBER(name) __typeof__(curl_##name) *name;
	CURL_FUNCTIONS(MEMBER)
#undef MEMBER
};

/* It stays loaded: TLS libraries do not like to go. */
int curl_library_load(struct curl_library *ret_curl, gpualloc_error *error);

#endif
