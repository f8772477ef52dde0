/* SPDX-License-Identifier: Apache-2.0 */
/* From a machine and a request to a choice; see decide.h. */
#include "decide.h"

#include "alternatives.h"
#include "device_state.h"
#include "models.h"
#include "refuse.h"
#include "text.h"

#include <stdlib.h>
#include <sys/random.h>

struct ga_candidate ga_candidate_of(const gpualloc_machine *machine, size_t place)
{
	const gpualloc_device *device = &machine->devices[place];

	return (struct ga_candidate){device, place, ga_device_memory_free(device)};
}

static void free_choice_pointer(gpualloc_choice **choice)
{
	ga_choice_free(*choice);
}
#define auto_choice ga_cleanup(free_choice_pointer)

static int remember(gpualloc_choice *choice, const struct ga_question *question,
		    gpualloc_error *error)
{
	const size_t *chosen = choice->answer.chosen;
	struct ga_worth worth;

	choice->devices = calloc(question->want + 1, sizeof *choice->devices);
	if (!choice->devices)
		return ga_error_memory(error);
	for (size_t i = 0; i < question->want; i++)
		choice->devices[i] = question->candidates[chosen[i]].device;
	choice->count = question->want;
	choice->score = choice->bandwidth = GA_UNKNOWN;
	if (choice->devices[0]->parent) /* instances have no links of their own */
		return 0;
	if (ga_choice_measure(question, chosen, &worth) < 0)
		return ga_error_memory(error);
	choice->score = worth.score;
	choice->bandwidth = worth.bandwidth;
	return 0;
}

static int new_choice(const gpualloc_machine *machine, const char *policy,
		      gpualloc_choice **ret_choice, gpualloc_error *error)
{
	auto_choice gpualloc_choice *choice = calloc(1, sizeof *choice);

	if (!choice || ga_set_text(&choice->policy, policy) < 0)
		return ga_error_memory(error);
	choice->machine = machine;
	*ret_choice = ga_steal(&choice);
	return 0;
}

/* Unpredictable if no seed was given; the policy itself stays pure. */
static uint64_t seed_of(const gpualloc_request *request)
{
	uint64_t seed = request->seed;

	if (!request->seeded && getrandom(&seed, sizeof seed, 0) < 0)
		return request->seed;
	return seed;
}

int ga_decide(const gpualloc_machine *machine, const gpualloc_request *request,
	      gpualloc_choice **ret_choice, gpualloc_error *error)
{
	auto_choice gpualloc_choice *choice = NULL;
	struct ga_asked asked = ga_asked_of(request->policy, ga_request_policy(request));
	struct ga_question question;
	bool one_model;
	int result = new_choice(machine, ga_asked_name(&asked), &choice, error);

	if (result == 0)
		result = ga_select(machine, request, &choice->selection, error);
	if (result < 0)
		return result;
	question = (struct ga_question){
		.machine = machine,
		.candidates = choice->selection.candidates,
		.candidate_count = choice->selection.candidate_count,
		.required = choice->selection.required,
		.required_count = choice->selection.required_count,
		.want = choice->selection.want,
		.idle = request->mig ? NULL : &choice->selection.idle,
		.seed = seed_of(request),
		.budget = request->budget,
	};
	one_model = question.want > 1 && !request->mixed && ga_models_differ(&question);
	result = one_model ? ga_ask_by_model(&asked, &question, &choice->answer, error)
			   : ga_ask(&asked, &question, &choice->answer, error);
	if (result == GA_NO_MODEL)
		result = ga_refuse_models(&choice->selection, error);
	if (result == 0)
		result = remember(choice, &question, error);
	if (result == 0 && request->alternatives)
		result = ga_choice_find_alternatives(choice, &question, &asked, one_model, error);
	if (result == 0)
		*ret_choice = ga_steal(&choice);
	return result;
}

int ga_decide_among(const gpualloc_machine *machine, const struct ga_question *question,
		    const struct gpualloc_policy *policy, gpualloc_choice **ret_choice,
		    gpualloc_error *error)
{
	auto_choice gpualloc_choice *choice = NULL;
	struct ga_asked asked =
		ga_asked_of(policy, policy ? policy->built_in : &ga_policy_balanced);
	int result = new_choice(machine, ga_asked_name(&asked), &choice, error);

	if (result == 0)
		result = ga_ask(&asked, question, &choice->answer, error);
	if (result == 0)
		result = remember(choice, question, error);
	if (result == 0)
		*ret_choice = ga_steal(&choice);
	return result;
}
