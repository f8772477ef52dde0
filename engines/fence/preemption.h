/* SPDX-License-Identifier: Apache-2.0 */
/* Where this kernel may take the processor from a process. */
#ifndef FENCE_PREEMPTION_H
#define FENCE_PREEMPTION_H

#include <stdbool.h>

/* Inside of its own work too, wherever that is; also if it cannot be told. */
bool preemption_is_anywhere(void);

#endif
