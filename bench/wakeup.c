/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How soon a waiter knows that it has what a killed holder had: 200 deaths by SIGKILL, with one
 * waiter and with 120 others behind it.
 *
 *   wakeup MACHINE_FILE STORE   (the store's folder is made, and must be on a local file system)
 */
#include "waiters.h"

#include <stdio.h>
#include <stdlib.h>

enum { DEATHS = 200, OTHERS = 120 };

static int by_value(const void *a, const void *b)
{
	int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;

	return (one > other) - (one < other);
}

static int measure(const char *machine, const char *store, unsigned waiting)
{
	static const unsigned parts[] = {0, 50, 90, 99, 100};
	struct waiters waiters;
	int64_t ns[DEATHS];
	int result = waiters_begin(&waiters, machine, store);

	for (unsigned i = 0; i < waiting && result == 0; i++)
		result = waiters_add(&waiters);
	for (unsigned i = 0; i < DEATHS && result == 0; i++) {
		if (waiters_kill_holder(&waiters, &ns[i]) != (int)i + 1)
			result = -1;
		else
			result = waiters_add(&waiters);
	}
	waiters_end(&waiters);
	if (result < 0)
		return -1;
	qsort(ns, DEATHS, sizeof *ns, by_value);
	printf("%7u", waiting);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		printf("  %7.2f", (double)ns[(DEATHS - 1) * parts[i] / 100] / 1e6);
	printf("\n");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		(void)fprintf(stderr, "wakeup MACHINE_FILE STORE\n");
		return 2;
	}
	printf("waiting   least ms   median     90 %%     99 %%     most\n");
	(void)fflush(stdout);
	return measure(argv[1], argv[2], 1) < 0 || measure(argv[1], argv[2], 1 + OTHERS) < 0;
}
