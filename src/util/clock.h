/* SPDX-License-Identifier: Apache-2.0 */
/* The clock for waiting. Do not compare it with another process's: namespaces may differ. */
#ifndef GA_UTIL_CLOCK_H
#define GA_UTIL_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t ga_clock_read_ms(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline int64_t ga_clock_ms(void)
{
	return ga_clock_read_ms(CLOCK_MONOTONIC);
}

/* Keeps running while the machine sleeps: for times that were promised to people. */
static inline int64_t ga_clock_awake_or_not_ms(void)
{
	return ga_clock_read_ms(CLOCK_BOOTTIME);
}

/*
 * The processor time of this thread: a limit on work that does not get tighter on a busy machine.
 */
static inline int64_t ga_clock_work_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static inline void ga_clock_sleep_us(int64_t us)
{
	struct timespec pause = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

	(void)nanosleep(&pause, NULL);
}

#endif
