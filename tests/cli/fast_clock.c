/* SPDX-License-Identifier: Apache-2.0 */
/* Loaded before the C library: an hour of waiting takes a second. */
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { FASTER = 3600 };

static int64_t real_ns(clockid_t clock)
{
	struct timespec now;

	(void)syscall(SYS_clock_gettime, clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	static int64_t begun;
	int64_t ns = real_ns(clock);

	if (clock == CLOCK_BOOTTIME) {
		if (begun == 0)
			begun = ns;
		ns = begun + (ns - begun) * FASTER;
	}
	ret_now->tv_sec = ns / 1000000000;
	ret_now->tv_nsec = ns % 1000000000;
	return 0;
}

unsigned alarm(unsigned seconds)
{
	struct itimerval timer = {.it_value.tv_usec = (suseconds_t)seconds * 1000000 / FASTER};

	(void)setitimer(ITIMER_REAL, &timer, NULL);
	return 0;
}
