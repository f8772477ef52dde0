/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a policy takes to decide. For each number of devices offered (n) and wanted (k):
 * nanoseconds of CPU a decision (the median of many), transitions, and whether the optimum was
 * proven.
 */
#include "decide.h"

#include "source.h"
#include "vector.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SAMPLES_MAX = 201, SAMPLES_MIN = 5, SIDE = 129 };

static const uint64_t enough = 4000000; /* nanoseconds that a question is asked for */
static bool verbose;

static uint64_t now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

/* So many times in a row: short decisions are not measured one by one. */
static uint64_t ask(const struct ga_policy *policy, const struct ga_question *question,
		    size_t times, struct ga_answer *ret_answer, int *ret_result)
{
	uint64_t begin = now();

	for (size_t i = 0; i < times; i++) {
		ga_answer_free(ret_answer);
		*ret_result = policy->choose(question, ret_answer, NULL);
	}
	return (now() - begin) / times;
}

void decide_measure(const struct ga_policy *policy, const struct ga_question *question,
		    const char *name, struct cost *cost)
{
	struct ga_answer answer = {0};
	uint64_t samples[SAMPLES_MAX], spent = 0;
	size_t count = 0;
	int result = 0;
	size_t times = ask(policy, question, 1, &answer, &result) < 20000 ? 64 : 1;

	while (result == 0 && count < SAMPLES_MAX && (count < SAMPLES_MIN || spent < enough)) {
		samples[count] = ask(policy, question, times, &answer, &result);
		spent += samples[count++] * times;
	}
	cost->cases++;
	cost->refused += result < 0;
	if (result == 0) {
		qsort(samples, count, sizeof *samples, compare);
		cost->unproven += !answer.proven;
		if (verbose)
			printf("%-40s %12" PRIu64 " ns %10" PRIu64 " transitions%s\n", name,
			       samples[count / 2], answer.transitions,
			       answer.proven ? "" : "  not proven");
		if (samples[count / 2] > cost->nanoseconds) {
			cost->nanoseconds = samples[count / 2];
			cost->transitions = answer.transitions;
			(void)snprintf(cost->slowest, sizeof cost->slowest, "%s", name);
		}
	}
	ga_answer_free(&answer);
}

static int print_bars(const struct ga_policy *policy)
{
	printf("%-26s %10s %10s %6s %8s %9s  %s\n", "", "bar, us", "worst, us", "", "cases",
	       "unproven", "slowest");
	for (size_t i = 0; i < decide_bar_count; i++) {
		const struct bar *bar = &decide_bars[i];
		uint64_t most = policy->by_partition ? bar->partition : bar->bandwidth;
		struct cost cost = {0};

		bar->ask(policy, &cost);
		printf("%-26s %10.1f %10.2f %6s %8zu %9zu  %s\n", bar->title, (double)most / 1000,
		       (double)cost.nanoseconds / 1000,
		       most == 0                  ? ""
		       : cost.nanoseconds <= most ? "met"
						  : "MISSED",
		       cost.cases, cost.unproven, cost.slowest);
		(void)fflush(stdout);
	}
	return 0;
}

static void print_head(void)
{
	printf("%4s %4s %14s %12s %6s  %s\n", "n", "k", "ns a decision", "transitions", "cases",
	       "proven");
}

static void print_cost(size_t count, size_t want, const struct cost *cost)
{
	if (cost->cases == cost->refused)
		printf("%4zu %4zu %14s %12s %6zu  refused\n", count, want, "-", "-", cost->cases);
	else
		printf("%4zu %4zu %14" PRIu64 " %12" PRIu64 " %6zu  %s\n", count, want,
		       cost->nanoseconds, cost->transitions, cost->cases,
		       cost->unproven ? "no" : "yes");
}

static int measure_vectors(const struct ga_policy *policy, const char *path)
{
	static struct cost costs[SIDE][SIDE];
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t room = 0;
	ssize_t size;

	if (!file) {
		perror(path);
		return 1;
	}
	while ((size = getline(&line, &room, file)) > 0) {
		struct vector vector;

		if (!vector_read(line, (size_t)size, &vector)) {
			(void)fprintf(stderr, "%s: not a case: %.60s\n", path, line);
			continue;
		}
		if (vector.question.candidate_count < SIDE && vector.question.want < SIDE)
			decide_measure(
				policy, &vector.question, vector.name,
				&costs[vector.question.candidate_count][vector.question.want]);
		vector_free(&vector);
	}
	free(line);
	(void)fclose(file);
	print_head();
	for (size_t count = 0; count < SIDE; count++)
		for (size_t want = 0; want <= count; want++)
			if (costs[count][want].cases > 0)
				print_cost(count, want, &costs[count][want]);
	return 0;
}

/* Every number of devices of a machine's first ones, 0 for all. */
static int measure_machine(const struct ga_policy *policy, const char *spec, size_t first)
{
	const struct ga_source_request request = {.root = "", .deadline_ms = 10000};
	gpualloc_machine *machine = NULL;
	gpualloc_error error = {0};
	struct question_of_shape asked;

	if (ga_source_open(spec, &request, &machine, &error) < 0) {
		(void)fprintf(stderr, "decide: %s\n", error.message);
		return 1;
	}
	if (first == 0 || first > machine->device_count)
		first = machine->device_count;
	question_of_shape_new(&asked, machine->device_count, NULL, first);
	asked.question.machine = machine;
	print_head();
	for (size_t want = 1; want <= first; want++) {
		struct cost cost = {0};

		asked.question.want = want;
		decide_measure(policy, &asked.question, spec, &cost);
		print_cost(first, want, &cost);
	}
	question_of_shape_free(&asked);
	ga_machine_free(machine);
	return 0;
}

static int usage(void)
{
	(void)fprintf(stderr, "usage: decide [--policy NAME] [-v] "
			      "--bars | --vectors FILE | --machine SPEC [-n FIRST]\n");
	return 64;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"policy", required_argument, NULL, 'p'},
						{"vectors", required_argument, NULL, 'f'},
						{"machine", required_argument, NULL, 'm'},
						{"bars", no_argument, NULL, 'b'},
						{"verbose", no_argument, NULL, 'v'},
						{NULL, 0, NULL, 0}};
	const char *name = "best-effort", *vectors = NULL, *machine = NULL;
	const struct ga_policy *policy;
	size_t first = 0;
	bool bars = false;

	for (int c; (c = getopt_long(argc, argv, "p:n:v", options, NULL)) != -1;)
		switch (c) {
		case 'p': name = optarg; break;
		case 'f': vectors = optarg; break;
		case 'm': machine = optarg; break;
		case 'n': first = strtoul(optarg, NULL, 10); break;
		case 'b': bars = true; break;
		case 'v': verbose = true; break;
		default: return usage();
		}
	policy = ga_policy_find(name);
	if (!policy || (!bars && !vectors && !machine))
		return usage();
	if (bars)
		return print_bars(policy);
	return vectors ? measure_vectors(policy, vectors) : measure_machine(policy, machine, first);
}
