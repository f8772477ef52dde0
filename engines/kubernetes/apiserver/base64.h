/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 as in kubeconfigs: the usual alphabet, whole groups, line ends anywhere. */
#ifndef APISERVER_BASE64_H
#define APISERVER_BASE64_H

#include <stddef.h>

/* Ends in a NUL that is not counted. NULL: it is no base64, or there is no memory. */
char *base64_decode(const char *text, size_t size, size_t *ret_size);

#endif
