/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long opening and closing takes: for each file the shortest of several rounds, in nanoseconds.
 * That opening fails is part of what is measured.
 *   opens TIMES FILE...
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 5 };

static int64_t now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int64_t round_of(const char *path, long times)
{
	int64_t start = now();

	for (long i = 0; i < times; i++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

		if (fd >= 0)
			close(fd);
	}
	return now() - start;
}

int main(int argc, char **argv)
{
	long times = argc > 2 ? strtol(argv[1], NULL, 10) : 0;

	if (times < 1) {
		(void)fprintf(stderr, "opens TIMES FILE...\n");
		return 64;
	}
	for (int i = 2; i < argc; i++) {
		int64_t best = INT64_MAX;

		for (int round = 0; round < ROUNDS; round++) {
			int64_t took = round_of(argv[i], times);

			if (took < best)
				best = took;
		}
		printf("%.0f\n", (double)best / (double)times);
	}
	return 0;
}
