/* SPDX-License-Identifier: Apache-2.0 */
/* The programs for the kernel, as the build made them of fence.bpf.c. */
#ifndef FENCE_OBJECT_H
#define FENCE_OBJECT_H

#include <stddef.h>

extern const unsigned char fence_object[];
extern const size_t fence_object_size;

#endif
