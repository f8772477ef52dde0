/* SPDX-License-Identifier: Apache-2.0 */
/* Amounts of memory as people write them. */
#ifndef GA_UTIL_SIZE_H
#define GA_UTIL_SIZE_H

#include "error.h"

/*
 * "8GiB", "800MB", "512M" (MiB, as K, G and T), "1.5GiB", "8 gb", or plain bytes (0, or at least 1
 * MiB). Anything else, and more than 2^62 bytes, is GPUALLOC_EUSAGE.
 */
int ga_size_parse(const char *text, int64_t *ret_bytes, gpualloc_error *error);

enum { GA_SIZE_TEXT = 48 };
/* "9.5 GiB", never rounded up. */
const char *ga_size_text(int64_t bytes, char text[static GA_SIZE_TEXT]);

#endif
