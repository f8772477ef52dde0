/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What policies are worth over a stream of jobs, first come, first served: the harmonic mean of
 * the share of the best bandwidth that the jobs got, in thousandths. Not a measurement of time.
 */
#include "stream.h"

#include "asking.h"

#include <stdio.h>

static const struct ga_policy *const policies[] = {
	&ga_policy_balanced, &ga_policy_bandwidth, &ga_policy_best_effort,
	&ga_policy_simple,   &ga_policy_random,
};
enum { POLICY_COUNT = sizeof policies / sizeof *policies, JOBS = 20000, LOAD = 90, SEED = 42 };

static const char *const machines[] = {"dgx1-volta", "dgx1-pascal", "bridged-pairs", "rtx8000x4",
				       "pcie16"};
enum { MACHINE_COUNT = sizeof machines / sizeof *machines };

/* The bridged pairs are no built-in machine. */
static gpualloc_machine *make(size_t i)
{
	return i == 2 ? machine_bridged_pairs() : machine_built_in(machines[i]);
}

static void print_row(const char *name, const gpualloc_machine *machine, size_t least, size_t most)
{
	struct stream stream = {machine, least, most, JOBS, LOAD, SEED};

	printf("%-14s %zu-%zu ", name, least, most);
	for (size_t p = 0; p < POLICY_COUNT; p++)
		printf(" %11lld", (long long)stream_quality(&stream, policies[p]));
	printf("\n");
}

int main(void)
{
	printf("%-14s sizes", "machine");
	for (size_t p = 0; p < POLICY_COUNT; p++)
		printf(" %11s", policies[p]->name);
	printf("\n");
	for (size_t i = 0; i < MACHINE_COUNT; i++) {
		gpualloc_machine *machine = make(i);

		for (size_t least = 1; least <= 2; least++)
			for (size_t most = 4; most <= 6 && most <= machine->device_count; most++)
				print_row(machines[i], machine, least, most);
		ga_machine_free(machine);
	}
	return 0;
}
