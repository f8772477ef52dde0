/* SPDX-License-Identifier: Apache-2.0 */
/* The two calls about particular devices: which are best, and what a container gets for them. */
#ifndef DEVICEPLUGIN_ALLOCATE_H
#define DEVICEPLUGIN_ALLOCATE_H

#include "plugin.h"

/* Methods of the server, whose context is the plugin. */
void prefer_called(void *context, struct grpc_call *call, const uint8_t *message, size_t size);
void allocate_called(void *context, struct grpc_call *call, const uint8_t *message, size_t size);
void allocate_ended(void *context, struct grpc_call *call);

#endif
