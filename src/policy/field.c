/* SPDX-License-Identifier: Apache-2.0 */
/* Turns questions into graphs, and sets up the search for bandwidth; see field.h. */
#include "field.h"

#include "cleanup.h"
#include "machine_graph.h"

void ga_field_free(struct ga_field *field)
{
	ga_set_graph_free(&field->graph);
	free(field->vertices);
	free(field->required);
	free(field->idle);
	free(field->loss);
	*field = (struct ga_field){0};
}

static bool is_candidate(const struct ga_question *question, size_t place)
{
	for (size_t i = 0; i < question->candidate_count; i++)
		if (question->candidates[i].place == place)
			return true;
	return false;
}

/* The candidates' places, then those of the other idle GPUs; returns how many. */
static size_t list_places(const struct ga_question *question, size_t *places)
{
	const struct ga_device_set *idle = question->idle;
	size_t count = 0;

	for (size_t i = 0; i < question->candidate_count; i++)
		places[count++] = question->candidates[i].place;
	if (!idle)
		return count;
	for (size_t place = 0; place < question->machine->device_count; place++)
		if (ga_device_set_has(idle, place) && !is_candidate(question, place))
			places[count++] = place;
	return count;
}

static bool is_whole(const struct ga_field *field, const struct ga_question *question,
		     const size_t *places)
{
	size_t count = field->graph.count;

	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			if (places[i] == places[j])
				return false;
	for (size_t i = 0; i < count; i++)
		if (!field->idle[i])
			return false;
	return count == question->machine->device_count;
}

/*
 * What losing a link costs those that stay behind. Each level costs eight times as much as the one
 * below, so that a device without a near neighbour goes before half of a pair, however many distant
 * neighbours it has.
 */
static int64_t price_of(int32_t score)
{
	int nvlinks = score / GA_SCORE_A_LINK;
	int level = score % GA_SCORE_A_LINK / GA_SCORE_A_LEVEL;

	return (INT64_C(1) << 3 * level) + ((int64_t)nvlinks << 3 * GPUALLOC_LEVEL_BOARD);
}

/* A device that is not idle is no loss. */
static int64_t loss_of(const struct ga_field *field, size_t v)
{
	int64_t loss = 0;

	for (size_t i = 0; field->idle[v] && i < field->graph.count; i++)
		if (field->idle[i] && i != v)
			loss += price_of(ga_set_graph_score(&field->graph, v, i));
	return loss;
}

int ga_field_init(const struct ga_question *question, struct ga_field *ret_field)
{
	ga_auto_field struct ga_field field = {0};
	size_t most = question->candidate_count + question->machine->device_count, count;
	ga_auto_free size_t *places = calloc(most, sizeof *places);

	if (!places)
		return GPUALLOC_ENOMEM;
	count = list_places(question, places);
	field.vertices = calloc(count, sizeof *field.vertices);
	field.required = calloc(count, sizeof *field.required);
	field.idle = calloc(count, sizeof *field.idle);
	field.loss = calloc(count, sizeof *field.loss);
	if (!field.vertices || !field.required || !field.idle || !field.loss ||
	    ga_graph_of_machine(question->machine, places, count, &field.graph) < 0)
		return GPUALLOC_ENOMEM;
	for (size_t i = 0; i < count; i++) {
		field.vertices[i] = i;
		field.idle[i] = !question->idle || ga_device_set_has(question->idle, places[i]);
	}
	for (size_t i = 0; i < question->required_count; i++)
		field.required[question->required[i]] = true;
	for (size_t v = 0; v < count; v++)
		field.loss[v] = loss_of(&field, v);
	field.whole = is_whole(&field, question, places);
	*ret_field = field;
	field = (struct ga_field){0};
	return 0;
}

static int64_t value_of_bandwidth(void *context, const size_t *set, int64_t floor)
{
	const struct ga_bandwidth_value *bandwidth = context;

	if (bandwidth->want < 2)
		return 0;
	return ga_set_bandwidth(bandwidth->graph, set, bandwidth->want, floor);
}

static int64_t links_for_bandwidth(void *context, int64_t floor)
{
	(void)context;
	return floor;
}

int ga_bandwidth_search(struct ga_set_search *search, struct ga_bandwidth_value *context)
{
	*context = (struct ga_bandwidth_value){search->graph, search->want};
	search->value = value_of_bandwidth;
	search->links_for = links_for_bandwidth;
	search->context = context;
	search->cost = (uint64_t)search->want * search->want;
	return ga_set_bandwidth_bound(search->graph, search->vertices, search->count,
				      search->required, search->want, &search->bound);
}
