/* SPDX-License-Identifier: Apache-2.0 */
/* See asking.h. */
#include "asking.h"

#include "cleanup.h"
#include "source.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

struct places places_of(const char *text)
{
	struct places places = {0};
	int used;

	for (; sscanf(text, "%zu%n", &places.at[places.count], &used) == 1; text += used)
		places.count++;
	return places;
}

struct places places_up_to(size_t count)
{
	struct places places = {.count = count};

	for (size_t i = 0; i < count; i++)
		places.at[i] = i;
	return places;
}

const char *places_text(const struct places *places)
{
	static char text[PLACES_MAX * 5];
	size_t size = 0;

	text[0] = '\0';
	for (size_t i = 0; i < places->count; i++)
		size += (size_t)snprintf(text + size, sizeof text - size, "%s%zu", i ? " " : "",
					 places->at[i]);
	return text;
}

static int compare(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return (x > y) - (x < y);
}

void places_sort(struct places *places)
{
	qsort(places->at, places->count, sizeof *places->at, compare);
}

static size_t number_of(const struct places *offered, size_t place)
{
	size_t number = 0;

	while (number < offered->count && offered->at[number] != place)
		number++;
	CHECK(number < offered->count);
	return number;
}

static void set_idle(const struct asking *asking, struct ga_device_set *idle)
{
	CHECK(ga_device_set_init(idle, asking->machine->device_count));
	for (size_t i = 0; asking->idle && i < asking->idle->count; i++)
		ga_device_set_add(idle, asking->idle->at[i]);
}

struct answered ask(const struct ga_policy *policy, const struct asking *asking)
{
	ga_auto_device_set struct ga_device_set idle = {0};
	ga_auto_answer struct ga_answer answer = {0};
	struct gpualloc_error error = {0};
	struct ga_candidate candidates[PLACES_MAX];
	size_t required[PLACES_MAX];
	struct answered answered = {0};
	struct ga_question question = {
		.machine = asking->machine,
		.candidates = candidates,
		.candidate_count = asking->offered.count,
		.required = required,
		.required_count = asking->required.count,
		.want = asking->want,
		.idle = asking->idle ? &idle : NULL,
		.seed = asking->seed,
		.budget = asking->budget,
	};

	set_idle(asking, &idle);
	for (size_t i = 0; i < asking->offered.count; i++) {
		size_t place = asking->offered.at[i];

		candidates[i] =
			(struct ga_candidate){&asking->machine->devices[place], place, GA_UNKNOWN};
	}
	for (size_t i = 0; i < asking->required.count; i++)
		required[i] = number_of(&asking->offered, asking->required.at[i]);
	answered.result = ga_policy_choose(policy, &question, &answer, &error);
	answered.value = answer.value;
	answered.bound = answer.bound;
	answered.proven = answer.proven;
	answered.chosen.count = answer.count;
	for (size_t i = 0; i < answer.count; i++)
		answered.chosen.at[i] = candidates[answer.chosen[i]].place;
	(void)snprintf(answered.message, sizeof answered.message, "%.511s", error.message);
	return answered;
}

gpualloc_machine *machine_built_in(const char *name)
{
	gpualloc_machine *machine = NULL;
	size_t i = 0;

	while (ga_source_builtin.machine_name(i) &&
	       strcmp(ga_source_builtin.machine_name(i), name) != 0)
		i++;
	CHECK(ga_source_builtin.machine_name(i));
	CHECK_INT(ga_source_builtin.make(i, &machine, NULL), 0);
	return machine;
}

gpualloc_machine *machine_empty(size_t count)
{
	gpualloc_machine *machine = NULL;

	CHECK_INT(ga_machine_new(count, &machine, NULL), 0);
	return machine;
}

gpualloc_machine *machine_bridged_pairs(void)
{
	gpualloc_machine *machine = machine_empty(8);

	for (size_t i = 0; i < 8; i++) {
		machine->devices[i].nvlink_version = 3;
		machine->devices[i].numa = (int64_t)i / 4;
		for (size_t j = 0; j < i; j++) {
			ga_links_set_level(&machine->links, i, j,
					   i / 4 == j / 4 ? GPUALLOC_LEVEL_PHB
							  : GPUALLOC_LEVEL_SYS);
			ga_links_set_nvlinks(&machine->links, i, j, i / 2 == j / 2 ? 12 : 0);
		}
	}
	return machine;
}

gpualloc_machine *machine_geforce(size_t pairs)
{
	gpualloc_machine *machine = machine_empty(8);

	for (size_t i = 0; i < 8; i++) {
		machine->devices[i].nvlink_version = pairs > 0 ? 3 : GA_UNKNOWN;
		CHECK_INT(ga_set_text(&machine->devices[i].name, "NVIDIA GeForce RTX 3090"), 0);
		machine->devices[i].numa = (int64_t)i / 4;
		for (size_t j = 0; j < i; j++) {
			bool bridged = i / 2 == j / 2 && j / 2 < pairs;

			ga_links_set_level(&machine->links, i, j,
					   i / 4 != j / 4             ? GPUALLOC_LEVEL_SYS
					   : i % 4 == 1 && j % 4 == 0 ? GPUALLOC_LEVEL_PIX
								      : GPUALLOC_LEVEL_PXB);
			ga_links_set_nvlinks(&machine->links, i, j, bridged ? 4 : 0);
			ga_links_set_p2p(&machine->links, i, j,
					 bridged ? GPUALLOC_P2P_OK : GPUALLOC_P2P_NO);
		}
	}
	return machine;
}

uint32_t test_random(uint64_t *state, uint32_t below)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((*state >> 32) * below >> 32);
}

gpualloc_machine *machine_random(uint64_t *state, size_t count, uint32_t density)
{
	gpualloc_machine *machine = machine_empty(count);

	for (size_t i = 0; i < count; i++) {
		machine->devices[i].numa = test_random(state, 3);
		machine->devices[i].nvlink_version = 1 + test_random(state, 5);
		for (size_t j = 0; j < i; j++) {
			bool linked = test_random(state, 100) < density;

			ga_links_set_level(&machine->links, i, j,
					   (enum gpualloc_level)test_random(state, 7));
			ga_links_set_nvlinks(&machine->links, i, j,
					     linked ? 1 + (int)test_random(state, 3) : 0);
		}
	}
	return machine;
}
