/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the pure call costs above its solver, for 8 devices: a question made, asked once and freed,
 * and the same question put to the policy alone. Nanoseconds of CPU, the least of many rounds.
 *
 *   among [MACHINE]…
 */
#include "policy.h"
#include "question.h"

#include <gpualloc/gpualloc.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DEVICES = 8, ROUNDS = 25, TIMES = 2000 };

static const struct ga_policy *const policies[] = {
	&ga_policy_best_effort,
	&ga_policy_bandwidth,
	&ga_policy_balanced,
};
enum { POLICY_COUNT = sizeof policies / sizeof *policies };

static double now(void)
{
	struct timespec time;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static gpualloc_question *make(const gpualloc_machine *machine, size_t want)
{
	static const size_t all[DEVICES] = {0, 1, 2, 3, 4, 5, 6, 7};
	gpualloc_question *question = NULL;

	if (gpualloc_question_new(machine, &question, NULL) < 0 ||
	    gpualloc_question_set_candidates(question, all, DEVICES, NULL) < 0)
		abort();
	gpualloc_question_set_count(question, want);
	return question;
}

static void call(const gpualloc_machine *machine, const gpualloc_policy *policy, size_t want)
{
	gpualloc_question *question = make(machine, want);
	gpualloc_choice *choice = NULL;

	if (gpualloc_choose_among(question, policy, &choice, NULL) < 0)
		abort();
	gpualloc_choice_free(choice);
	gpualloc_question_free(question);
}

static void solve(const struct ga_policy *policy, const struct ga_question *question)
{
	struct ga_answer answer = {0};

	if (policy->choose(question, &answer, NULL) < 0)
		abort();
	ga_answer_free(&answer);
}

/* Turns about, so that both meet the same load. */
static void measure(const gpualloc_machine *machine, const struct ga_policy *built_in, size_t want,
		    double *ret_solver, double *ret_call)
{
	gpualloc_question *question = make(machine, want);
	gpualloc_policy *policy = NULL;

	if (gpualloc_policy_open(built_in->name, &policy, NULL) < 0)
		abort();
	*ret_solver = *ret_call = 1e18;
	for (size_t round = 0; round < ROUNDS; round++) {
		double begin = now(), between, end;

		for (size_t i = 0; i < TIMES; i++)
			solve(built_in, &question->asked);
		between = now();
		for (size_t i = 0; i < TIMES; i++)
			call(machine, policy, want);
		end = now();
		if ((between - begin) / TIMES < *ret_solver)
			*ret_solver = (between - begin) / TIMES;
		if ((end - between) / TIMES < *ret_call)
			*ret_call = (end - between) / TIMES;
	}
	gpualloc_policy_free(policy);
	gpualloc_question_free(question);
}

static void print_machine(const char *name)
{
	gpualloc_machine *machine = NULL;

	if (gpualloc_machine_open(name, 0, &machine, NULL) < 0 ||
	    gpualloc_machine_device_count(machine) < DEVICES) {
		(void)fprintf(stderr, "among: %s: no machine of %d devices\n", name, DEVICES);
		exit(1);
	}
	for (size_t p = 0; p < POLICY_COUNT; p++) {
		double solver, whole, most = 0, most_whole = 0;

		for (size_t want = 1; want <= DEVICES; want++) {
			measure(machine, policies[p], want, &solver, &whole);
			if (whole - solver > most)
				most = whole - solver;
			if (whole > most_whole)
				most_whole = whole;
		}
		printf("%-14s %-12s %9.0f %9.0f\n", name, policies[p]->name, most, most_whole);
	}
	gpualloc_machine_free(machine);
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"dgx1-volta", "dgx-a100", "hgx-h100"};

	printf("%-14s %-12s %9s %9s\n", "machine", "policy", "above, ns", "in all, ns");
	for (int i = 1; i < argc; i++)
		print_machine(argv[i]);
	for (size_t i = 0; argc == 1 && i < sizeof names / sizeof *names; i++)
		print_machine(names[i]);
	return 0;
}
