/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many threads choose on one machine at once. Built with the thread sanitizer, so that sharing
 * anything that is written to is a failure even where the answers come out right.
 */
#include "cleanup.h"
#include "machine.h"
#include "policy.h"
#include "test.h"

#include <pthread.h>

enum { THREADS = 8, GPUS = 8, ROUNDS = 20 };

struct worker {
	const gpualloc_machine *machine;
	const struct ga_policy *policy;
	size_t first[3];
	int result;
};

/* Pairs with NVLinks, on two sockets. */
static gpualloc_machine *make_machine(void)
{
	gpualloc_machine *machine = NULL;

	CHECK_INT(ga_machine_new(GPUS, &machine, NULL), 0);
	for (size_t i = 0; i < GPUS; i++)
		for (size_t j = i + 1; j < GPUS; j++) {
			ga_links_set_level(&machine->links, i, j,
					   i / 4 == j / 4 ? GPUALLOC_LEVEL_PHB
							  : GPUALLOC_LEVEL_SYS);
			ga_links_set_nvlinks(&machine->links, i, j, i / 2 == j / 2 ? 4 : 0);
		}
	return machine;
}

static int choose_once(struct worker *worker, size_t chosen[3])
{
	struct ga_candidate candidates[GPUS];
	struct ga_question question = {.machine = worker->machine,
				       .candidates = candidates,
				       .candidate_count = GPUS,
				       .want = 3,
				       .seed = 7};
	ga_auto_answer struct ga_answer answer = {0};
	int result;

	for (size_t i = 0; i < GPUS; i++)
		candidates[i] = (struct ga_candidate){&worker->machine->devices[i], i, GA_UNKNOWN};
	result = worker->policy->choose(&question, &answer, NULL);
	for (size_t i = 0; result == 0 && i < 3; i++)
		chosen[i] = answer.chosen[i];
	return result;
}

static void *work(void *context)
{
	struct worker *worker = context;
	size_t chosen[3] = {0};

	worker->result = choose_once(worker, worker->first);
	for (int round = 0; worker->result == 0 && round < ROUNDS; round++) {
		worker->result = choose_once(worker, chosen);
		for (size_t i = 0; i < 3; i++)
			if (chosen[i] != worker->first[i])
				worker->result = -1;
	}
	return NULL;
}

static void all_choose_the_same(const gpualloc_machine *machine, const struct ga_policy *policy)
{
	struct worker workers[THREADS];
	pthread_t threads[THREADS];

	test_about("%s", policy->name);
	for (size_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.machine = machine, .policy = policy};
		CHECK_INT(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (size_t i = 0; i < THREADS; i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	for (size_t i = 0; i < THREADS; i++) {
		CHECK_INT(workers[i].result, workers[0].result);
		for (size_t c = 0; c < 3; c++)
			CHECK_INT(workers[i].first[c], workers[0].first[c]);
	}
}

static void threads_may_share_a_machine(void)
{
	ga_auto_machine gpualloc_machine *machine = make_machine();
	const struct ga_policy *policy;

	for (size_t i = 0; (policy = ga_policy_at(i)); i++)
		all_choose_the_same(machine, policy);
}

static const struct test_case cases[] = {
	{"threads may share a machine", threads_may_share_a_machine},
};

TEST_MAIN(cases)
