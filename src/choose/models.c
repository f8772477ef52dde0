/* SPDX-License-Identifier: Apache-2.0 */
/* Asks about each model separately; see models.h. */
#include "models.h"

#include "choice.h"
#include "cleanup.h"
#include "text.h"

#include <stdlib.h>

/* The candidates of one model, and how their numbers map back to those of all candidates. */
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

const char *ga_model_of(const struct ga_candidate *candidate)
{
	const gpualloc_device *device = candidate->device;

	return device->parent ? device->parent->name : device->name;
}

bool ga_models_differ(const struct ga_question *question)
{
	for (size_t i = 1; i < question->candidate_count; i++)
		if (!ga_text_same(ga_model_of(&question->candidates[i]),
				  ga_model_of(&question->candidates[0])))
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
		if (!ga_text_same(ga_model_of(&question->candidates[i]), name))
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

/* How good one model's answer is compared with another's; more is better. */
static int64_t worth(const struct ga_asked *asked, const struct ga_question *question,
		     const struct ga_answer *answer)
{
	struct ga_worth links;
	int64_t sum = 0;

	if (asked->own)
		return 0;
	if (asked->built_in->by_topology)
		return ga_choice_measure(question, answer->chosen, &links) < 0 ? GPUALLOC_ENOMEM
									       : links.bandwidth;
	for (size_t i = 0; i < answer->count; i++) {
		int64_t room = question->candidates[answer->chosen[i]].free;

		sum += room > 0 ? room >> 20 : 0;
	}
	switch (asked->built_in->memory) {
	case GA_MEMORY_MOST: return sum;
	case GA_MEMORY_LEAST: return INT64_MAX - sum;
	case GA_MEMORY_ANY: break;
	}
	return 0; /* the first model offered stays */
}

static bool model_serves(const struct ga_question *question, const struct model *model)
{
	return model->count >= question->want && model->required_count == question->required_count;
}

/* A random policy picks each model with a fair share of the probability. */
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
			const char *name = ga_model_of(&question->candidates[i]);
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
		if (ga_text_same(ga_model_of(&question->candidates[j]),
				 ga_model_of(&question->candidates[i])))
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

int ga_ask_by_model(const struct ga_asked *asked, const struct ga_question *question,
		    struct ga_answer *ret_answer, gpualloc_error *error)
{
	ga_auto_answer struct ga_answer best = {0};
	int64_t best_worth = -1;
	const char *chance = NULL;
	bool by_chance = !asked->own && asked->built_in->by_chance;
	int result = 0, refused = 0;

	if (by_chance)
		result = pick_model_by_chance(question, question->seed, &chance, &by_chance, error);
	for (size_t i = 0; result == 0 && i < question->candidate_count; i++) {
		auto_model struct model model = {0};
		ga_auto_answer struct ga_answer answer = {0};
		const char *name = ga_model_of(&question->candidates[i]);
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
	return GA_NO_MODEL;
}
