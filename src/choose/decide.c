/* SPDX-License-Identifier: Apache-2.0 */
/* From a machine and a request to a choice; see decide.h. */
#include "decide.h"

#include "device_state.h"
#include "refuse.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void ga_choice_free(gpualloc_choice *choice)
{
	if (!choice)
		return;
	free(choice->policy);
	free(choice->devices);
	ga_answer_free(&choice->answer);
	ga_selection_free(&choice->selection);
	for (size_t i = 0; i < choice->alternative_count; i++)
		free(choice->alternatives[i].devices);
	free(choice);
}

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

/* ---- asking, be it a policy of ours or the caller's own ---- */

static int ask_own(const struct ga_own_policy *own, const struct ga_question *question,
		   struct ga_answer *ret_answer, gpualloc_error *error)
{
	ga_auto_answer struct ga_answer answer = {.value = GA_UNKNOWN, .bound = GA_UNKNOWN};
	ga_auto_free const gpualloc_device **devices =
		calloc(question->candidate_count + 1, sizeof *devices);
	int count, result;

	answer.chosen = calloc(question->candidate_count + 1, sizeof *answer.chosen);
	if (!devices || !answer.chosen)
		return ga_error_memory(error);
	for (size_t i = 0; i < question->candidate_count; i++)
		devices[i] = question->candidates[i].device;
	count = own->choose(own->context, question->machine, devices, question->candidate_count,
			    question->required, question->required_count, question->want,
			    answer.chosen);
	if (count < 0)
		return ga_error_set(error, count, "policy %s: failed with status %d", own->name,
				    count);
	answer.count = (size_t)count;
	result = ga_answer_check(own->name, question, &answer, error);
	if (result < 0)
		return result;
	*ret_answer = answer;
	answer = (struct ga_answer){0};
	return 0;
}

static struct ga_asked asked_of(const struct gpualloc_policy *policy,
				const struct ga_policy *built_in)
{
	return (struct ga_asked){built_in, policy && !policy->built_in ? &policy->own : NULL};
}

int ga_ask(const struct ga_asked *asked, const struct ga_question *question,
	   struct ga_answer *ret_answer, gpualloc_error *error)
{
	return asked->own ? ask_own(asked->own, question, ret_answer, error)
			  : ga_policy_choose(asked->built_in, question, ret_answer, error);
}

/* ---- keeping to one model ---- */

/* The candidates of one model, and how to get back from their numbers to those of all. */
struct model {
	const char *name;
	struct ga_candidate *candidates;
	size_t *numbers;
	size_t count;
	size_t *required;
	size_t required_count;
};

static void free_model(struct model *model)
{
	free(model->candidates);
	free(model->numbers);
	free(model->required);
	*model = (struct model){0};
}
#define auto_model ga_cleanup(free_model)

static const char *model_name(const struct ga_candidate *candidate)
{
	const gpualloc_device *device = candidate->device;

	return device->parent ? device->parent->name : device->name;
}

static bool models_differ(const struct ga_question *question)
{
	for (size_t i = 1; i < question->candidate_count; i++)
		if (!ga_text_same(model_name(&question->candidates[i]),
				  model_name(&question->candidates[0])))
			return true;
	return false;
}

static int gather_model(const struct ga_question *question, const char *name,
			struct model *ret_model, gpualloc_error *error)
{
	auto_model struct model model = {.name = name};
	size_t most = question->candidate_count + 1;

	model.candidates = calloc(most, sizeof *model.candidates);
	model.numbers = calloc(most, sizeof *model.numbers);
	model.required = calloc(question->required_count + 1, sizeof *model.required);
	if (!model.candidates || !model.numbers || !model.required)
		return ga_error_memory(error);
	for (size_t i = 0; i < question->candidate_count; i++) {
		if (!ga_text_same(model_name(&question->candidates[i]), name))
			continue;
		for (size_t r = 0; r < question->required_count; r++)
			if (question->required[r] == i)
				model.required[model.required_count++] = model.count;
		model.numbers[model.count] = i;
		model.candidates[model.count++] = question->candidates[i];
	}
	*ret_model = model;
	model = (struct model){0};
	return 0;
}

/* As ga_places_bandwidth(): GA_UNKNOWN for one device, GPUALLOC_ENOMEM. */
static int64_t bandwidth_of(const struct ga_question *question, const size_t *chosen,
			    int64_t *ret_score)
{
	ga_auto_free size_t *places = calloc(question->want + 1, sizeof *places);

	if (!places)
		return GPUALLOC_ENOMEM;
	for (size_t i = 0; i < question->want; i++)
		places[i] = question->candidates[chosen[i]].place;
	*ret_score = ga_places_score(question->machine, places, question->want);
	return ga_places_bandwidth(question->machine, places, question->want);
}

/* How good one model's answer is beside another's; more is better. */
static int64_t worth(const struct ga_asked *asked, const struct ga_question *question,
		     const struct ga_answer *answer)
{
	int64_t sum = 0, score;

	if (!asked->own && asked->built_in->by_topology)
		return bandwidth_of(question, answer->chosen, &score);
	for (size_t i = 0; i < answer->count; i++) {
		int64_t room = question->candidates[answer->chosen[i]].free;

		sum += room > 0 ? room >> 20 : 0;
	}
	if (!asked->own && asked->built_in == &ga_policy_worst_fit)
		return sum;
	/* best-fit: least memory that suffices; for the others the first model offered stays. */
	return !asked->own && asked->built_in == &ga_policy_best_fit ? INT64_MAX - sum : 0;
}

static bool model_serves(const struct ga_question *question, const struct model *model)
{
	return model->count >= question->want && model->required_count == question->required_count;
}

/* A policy by chance gives each model its share of the chances. */
static int pick_model_by_chance(const struct ga_question *question, uint64_t seed,
				const char **ret_name, bool *ret_any, gpualloc_error *error)
{
	size_t total = 0;

	*ret_any = false;
	for (int round = 0; round < 2; round++) {
		size_t left =
			total ? (size_t)(seed * UINT64_C(0x9e3779b97f4a7c15) >> 33) % total : 0;

		for (size_t i = 0; i < question->candidate_count; i++) {
			auto_model struct model model = {0};
			const char *name = model_name(&question->candidates[i]);
			int result = gather_model(question, name, &model, error);

			if (result < 0)
				return result;
			if (!model_serves(question, &model))
				continue;
			total += round == 0;
			if (round == 1 && left-- == 0) {
				*ret_name = name;
				*ret_any = true;
				return 0;
			}
		}
	}
	return 0;
}

static bool seen_before(const struct ga_question *question, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (ga_text_same(model_name(&question->candidates[j]),
				 model_name(&question->candidates[i])))
			return true;
	return false;
}

static int ask_model(const struct ga_asked *asked, const struct ga_question *question,
		     const struct model *model, struct ga_answer *ret_answer, gpualloc_error *error)
{
	struct ga_question part = *question;
	int result;

	part.candidates = model->candidates;
	part.candidate_count = model->count;
	part.required = model->required;
	part.required_count = model->required_count;
	result = ga_ask(asked, &part, ret_answer, error);
	for (size_t i = 0; result == 0 && i < ret_answer->count; i++)
		ret_answer->chosen[i] = model->numbers[ret_answer->chosen[i]];
	return result;
}

/* Besides GPUALLOC_E…: no model has as many devices as are wanted, and nothing was said of it. */
enum { NO_MODEL = 1 };

static int ask_by_model(const struct ga_asked *asked, const struct ga_question *question,
			struct ga_answer *ret_answer, gpualloc_error *error)
{
	ga_auto_answer struct ga_answer best = {0};
	int64_t best_worth = -1;
	const char *chance = NULL;
	bool by_chance = !asked->own && asked->built_in == &ga_policy_random;
	int result = 0, refused = 0;

	if (by_chance)
		result = pick_model_by_chance(question, question->seed, &chance, &by_chance, error);
	for (size_t i = 0; result == 0 && i < question->candidate_count; i++) {
		auto_model struct model model = {0};
		ga_auto_answer struct ga_answer answer = {0};
		const char *name = model_name(&question->candidates[i]);
		int64_t value;

		if (seen_before(question, i) || (by_chance && !ga_text_same(name, chance)))
			continue;
		result = gather_model(question, name, &model, error);
		if (result < 0 || !model_serves(question, &model))
			continue;
		refused = ask_model(asked, question, &model, &answer, error);
		if (refused == GPUALLOC_ENOMEM)
			return refused;
		if (refused < 0)
			continue;
		value = worth(asked, question, &answer);
		if (value == GPUALLOC_ENOMEM)
			return ga_error_memory(error);
		if (value > best_worth) {
			struct ga_answer worse = best;

			best_worth = value;
			best = answer;
			answer = worse;
		}
	}
	if (result < 0)
		return result;
	if (best.count > 0) {
		*ret_answer = best;
		best = (struct ga_answer){0};
		return 0;
	}
	if (refused < 0)
		return refused;
	return NO_MODEL;
}

/* ---- the choice ---- */

static int remember(gpualloc_choice *choice, const struct ga_question *question,
		    gpualloc_error *error)
{
	const size_t *chosen = choice->answer.chosen;

	choice->devices = calloc(question->want + 1, sizeof *choice->devices);
	if (!choice->devices)
		return ga_error_memory(error);
	for (size_t i = 0; i < question->want; i++)
		choice->devices[i] = question->candidates[chosen[i]].device;
	choice->count = question->want;
	choice->score = choice->bandwidth = GA_UNKNOWN;
	if (choice->devices[0]->parent) /* instances have no links of their own */
		return 0;
	choice->bandwidth = bandwidth_of(question, chosen, &choice->score);
	return choice->bandwidth == GPUALLOC_ENOMEM ? ga_error_memory(error) : 0;
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

/* Unpredictable where no seed was given; the policy itself stays pure. */
static uint64_t seed_of(const gpualloc_request *request)
{
	uint64_t seed = request->seed;

	if (!request->seeded)
		(void)getrandom(&seed, sizeof seed, 0);
	return seed;
}

int ga_decide(const gpualloc_machine *machine, const gpualloc_request *request,
	      gpualloc_choice **ret_choice, gpualloc_error *error)
{
	auto_choice gpualloc_choice *choice = NULL;
	struct ga_asked asked = asked_of(request->policy, ga_request_policy(request));
	struct ga_question question;
	bool one_model;
	int result = new_choice(machine, asked.own ? asked.own->name : asked.built_in->name,
				&choice, error);

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
	one_model = question.want > 1 && !request->mixed && models_differ(&question);
	result = one_model ? ask_by_model(&asked, &question, &choice->answer, error)
			   : ga_ask(&asked, &question, &choice->answer, error);
	if (result == NO_MODEL)
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
	struct ga_asked asked = asked_of(policy, policy ? policy->built_in : &ga_policy_balanced);
	int result = new_choice(machine, asked.own ? asked.own->name : asked.built_in->name,
				&choice, error);

	if (result == 0)
		result = ga_ask(&asked, question, &choice->answer, error);
	if (result == 0)
		result = remember(choice, question, error);
	if (result == 0)
		*ret_choice = ga_steal(&choice);
	return result;
}
