/* SPDX-License-Identifier: Apache-2.0 */
/* Everything known about one device, as lines for a person. */
#ifndef GA_MACHINE_DESCRIBE_H
#define GA_MACHINE_DESCRIBE_H

#include "buffer.h"
#include "machine.h"

/* Appends the lines; unknown values get none. */
void ga_describe_device(const gpualloc_machine *machine, const gpualloc_device *device,
			struct ga_buffer *out);

#endif
