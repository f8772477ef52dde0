/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the user's processes use a device: those that were told of it. */
#ifndef COMPAT_WATCH_H
#define COMPAT_WATCH_H

#include <stdint.h>

/*
 * Returns when a process that has uuid in its environment or arguments has been seen and none is
 * left, or after none_ms without one.
 */
void watch_users(const char *uuid, int64_t none_ms);

#endif
