/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How good the sets are that DRA's scheduler takes by first fit: in states drawn at random, and in
 * a simulated day of claims that come and go. Compared with the best set of the same size by the
 * policy `bandwidth`, and with first fit of single GPUs. Arguments: machines.
 */
#include "sets.h"
#include "owned.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { STATES = 4000, CLAIMS = 20000 };

struct bench {
	gpualloc_machine *machine;
	gpualloc_policy *bandwidth, *balanced;
	struct ranked_sets sets;
	size_t numbers[SET_MOST];
	size_t count;
	double idle[SET_MOST + 1]; /* the best of a size on an idle machine */
	uint64_t random;
};

struct sum {
	double asked, fits, share, share_alone, share_either, of_idle;
};

static uint64_t draw(struct bench *bench, uint64_t below)
{
	bench->random = bench->random * 6364136223846793005U + 1442695040888963407U;
	return (bench->random >> 33) % below;
}

static double bandwidth_of(const struct bench *bench, uint32_t members)
{
	size_t numbers[SET_MOST], size = 0;
	int64_t score, bandwidth = 0;

	for (size_t i = 0; i < bench->count; i++)
		if (members >> i & 1)
			numbers[size++] = i;
	(void)gpualloc_machine_score(bench->machine, numbers, size, &score, &bandwidth, NULL);
	return (double)bandwidth;
}

static uint32_t ask(const struct bench *bench, const gpualloc_policy *policy, uint32_t free,
		    size_t size)
{
	auto_question gpualloc_question *question = NULL;
	auto_choice gpualloc_choice *choice = NULL;
	size_t numbers[SET_MOST], count = 0;
	uint32_t members = 0;

	for (size_t i = 0; i < bench->count; i++)
		if (free >> i & 1)
			numbers[count++] = i;
	if (gpualloc_question_new(bench->machine, &question, NULL) < 0 ||
	    gpualloc_question_set_candidates(question, numbers, count, NULL) < 0)
		exit(EXIT_FAILURE);
	gpualloc_question_set_count(question, size);
	if (gpualloc_choose_among(question, policy, &choice, NULL) < 0)
		exit(EXIT_FAILURE);
	for (size_t i = 0; i < size; i++)
		members |= 1U << gpualloc_device_number(bench->machine,
							gpualloc_choice_device(choice, i));
	return members;
}

static uint32_t first_set(const struct bench *bench, uint32_t free, size_t size)
{
	for (size_t i = 0; i < bench->sets.count; i++)
		if (bench->sets.list[i].size == size && (bench->sets.list[i].members & ~free) == 0)
			return bench->sets.list[i].members;
	return 0;
}

static uint32_t first_alone(const struct bench *bench, uint32_t free, size_t size)
{
	uint32_t members = 0;

	for (size_t i = 0; i < bench->count && size > 0; i++)
		if (free >> bench->sets.alone[i] & 1) {
			members |= 1U << bench->sets.alone[i];
			size--;
		}
	return members;
}

/*
 * What the scheduler gives: a set, else single GPUs, as `firstAvailable` asks for. For comparison,
 * what `balanced` gives that sees the state.
 */
static uint32_t judge(struct bench *bench, bool by_policy, uint32_t free, size_t size,
		      struct sum *sum)
{
	uint32_t set = size > 1 ? first_set(bench, free, size) : 0;
	uint32_t alone = first_alone(bench, free, size);
	double best;

	if (by_policy)
		set = ask(bench, bench->balanced, free, size);
	if (size > 1) {
		best = bandwidth_of(bench, ask(bench, bench->bandwidth, free, size));
		sum->of_idle += bandwidth_of(bench, set ? set : alone) / bench->idle[size];
		sum->asked++;
		sum->fits += set != 0;
		sum->share += set ? bandwidth_of(bench, set) / best : 0;
		sum->share_alone += bandwidth_of(bench, alone) / best;
		sum->share_either += bandwidth_of(bench, set ? set : alone) / best;
	}
	return set ? set : alone;
}

static void print(const char *what, const struct sum *sum)
{
	(void)printf("  %-34s %5.1f%% %13.3f %13.3f %13.3f %13.3f\n", what,
		     100 * sum->fits / sum->asked, sum->fits > 0 ? sum->share / sum->fits : 0,
		     sum->share_either / sum->asked, sum->share_alone / sum->asked,
		     sum->of_idle / sum->asked);
}

static void measure_states(struct bench *bench)
{
	struct sum sum = {0};

	for (size_t i = 0; i < STATES; i++) {
		size_t left = 2 + draw(bench, bench->count - 1), size = 2 + draw(bench, left - 1);
		uint32_t free = 0;

		while ((size_t)__builtin_popcount(free) < left)
			free |= 1U << draw(bench, bench->count);
		(void)judge(bench, false, free, size, &sum);
	}
	print("any states, any size", &sum);
}

/* Claims of 1, 2, 4 and 8 GPUs, or of any number; the oldest of all or any one goes. */
static void measure_day(struct bench *bench, bool any_size, bool by_policy)
{
	uint32_t held[SET_MOST] = {0}, free = (uint32_t)((UINT64_C(1) << bench->count) - 1);
	struct sum sum = {0};

	bench->random = 42;
	for (size_t i = 0; i < CLAIMS; i++) {
		size_t size = any_size ? 1 + draw(bench, bench->count / 2)
				       : (size_t)1 << (draw(bench, 100) * 4 / 100);
		size_t place = draw(bench, SET_MOST);

		if ((size_t)__builtin_popcount(free) < size || size > bench->count || held[place]) {
			free |= held[place];
			held[place] = 0;
			continue;
		}
		held[place] = judge(bench, by_policy, free, size, &sum);
		free &= ~held[place];
	}
	print(by_policy  ? "the same, by the policy balanced"
	      : any_size ? "claims of any size"
			 : "claims of 1, 2, 4 and 8",
	      &sum);
}

static int measure(const char *spec)
{
	struct bench bench = {.random = 42};
	struct timespec before, after;
	int result = gpualloc_machine_open(spec, 0, &bench.machine, NULL);

	if (result == 0)
		result = gpualloc_policy_open("bandwidth", &bench.bandwidth, NULL);
	if (result == 0)
		result = gpualloc_policy_open("balanced", &bench.balanced, NULL);
	if (result < 0)
		return result;
	for (bench.count = 0; bench.count < gpualloc_machine_device_count(bench.machine);
	     bench.count++)
		bench.numbers[bench.count] = bench.count;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	result = ranked_sets_make(bench.machine, bench.numbers, bench.count, &bench.sets, NULL);
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	(void)printf("%s: %zu sets of %zu GPUs, made in %.0f ms of CPU\n", spec, bench.sets.count,
		     bench.count,
		     (double)(after.tv_sec - before.tv_sec) * 1e3 +
			     (double)(after.tv_nsec - before.tv_nsec) / 1e6);
	for (size_t size = 2; result == 0 && size <= bench.count; size++)
		bench.idle[size] = bandwidth_of(
			&bench, ask(&bench, bench.bandwidth,
				    (uint32_t)((UINT64_C(1) << bench.count) - 1), size));
	if (result == 0 && bench.sets.count) {
		measure_states(&bench);
		measure_day(&bench, false, false);
		measure_day(&bench, false, true);
		measure_day(&bench, true, false);
		measure_day(&bench, true, true);
	}
	ranked_sets_free(&bench.sets);
	gpualloc_policy_free(bench.bandwidth);
	gpualloc_policy_free(bench.balanced);
	gpualloc_machine_free(bench.machine);
	return result;
}

int main(int argc, char **argv)
{
	int result = 0;

	(void)printf("%-36s %6s %13s %13s %13s %13s\n", "", "fits", "of the best", "or singles",
		     "singles only", "of idle best");
	for (int i = 1; i < argc && result == 0; i++)
		result = measure(argv[i]);
	return result < 0;
}
