/* SPDX-License-Identifier: Apache-2.0 */
/* The clock by which one waits. Never compared with another process's: namespaces may differ. */
#ifndef GA_LEASE_CLOCK_H
#define GA_LEASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t ga_clock_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline void ga_clock_sleep_us(int64_t us)
{
	struct timespec pause = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

	(void)nanosleep(&pause, NULL);
}

#endif
