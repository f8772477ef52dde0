/* SPDX-License-Identifier: Apache-2.0 */
/* What a container gets so that it can use its devices. */
#ifndef DEVICEPLUGIN_CONTAINER_H
#define DEVICEPLUGIN_CONTAINER_H

#include "inventory.h"
#include "messages.h"

/* units: each once, in the order in which the container should see them. NULL: out of memory. */
V1beta1__ContainerAllocateResponse *container_describe(struct arena *arena,
						       const struct unit *const *units,
						       size_t count,
						       const struct settings *settings);

#endif
