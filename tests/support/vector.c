/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading test vectors; see vector.h. They are our own files: mistakes are refused, not explained.
 */
#include "vector.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gpualloc_machine *read_machine(const json_t *pcie, const json_t *nvlink)
{
	const size_t count = json_array_size(pcie);
	gpualloc_machine *machine = NULL;

	if (count == 0 || ga_machine_new(count, &machine, NULL) < 0)
		return NULL;
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++) {
			const char *name =
				json_string_value(json_array_get(json_array_get(pcie, i), j));
			enum gpualloc_level level = GPUALLOC_LEVEL_UNKNOWN;

			if (name && ga_level_find(name, strlen(name), &level))
				ga_links_set_level(&machine->links, i, j, level);
			ga_links_set_nvlinks(&machine->links, i, j,
					     (int)json_integer_value(
						     json_array_get(json_array_get(nvlink, i), j)));
		}
	return machine;
}

static bool read_numbers(const json_t *list, size_t **ret_numbers, size_t *ret_count)
{
	const size_t count = json_array_size(list);
	size_t *numbers = calloc(count + 1, sizeof *numbers);

	if (!numbers)
		return false;
	for (size_t i = 0; i < count; i++)
		numbers[i] = (size_t)json_integer_value(json_array_get(list, i));
	*ret_numbers = numbers;
	*ret_count = count;
	return true;
}

static bool offer_candidates(struct vector *vector, const size_t *available, size_t count)
{
	vector->candidates = calloc(count + 1, sizeof *vector->candidates);
	if (!vector->candidates)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (available[i] >= vector->machine->device_count)
			return false;
		vector->candidates[i] = (struct ga_candidate){
			.device = &vector->machine->devices[available[i]],
			.place = available[i],
			.free = GA_UNKNOWN,
		};
	}
	vector->question.machine = vector->machine;
	vector->question.candidates = vector->candidates;
	vector->question.candidate_count = count;
	return true;
}

/*
 * The file names required devices by place, but a question needs indices of candidates. A place
 * that is not a candidate gets an index that no candidate has.
 */
static void number_required(struct vector *vector)
{
	for (size_t i = 0; i < vector->question.required_count; i++) {
		size_t number = 0;

		while (number < vector->question.candidate_count &&
		       vector->candidates[number].place != vector->required[i])
			number++;
		vector->required[i] = number;
	}
	vector->question.required = vector->required;
}

static bool read_case(const json_t *root, struct vector *vector)
{
	const char *name = json_string_value(json_object_get(root, "name"));
	size_t *available = NULL;
	size_t count = 0;
	bool good;

	(void)snprintf(vector->name, sizeof vector->name, "%s", name ? name : "");
	vector->machine =
		read_machine(json_object_get(root, "pcie"), json_object_get(root, "nvlink"));
	good = vector->machine &&
	       read_numbers(json_object_get(root, "available"), &available, &count) &&
	       offer_candidates(vector, available, count) &&
	       read_numbers(json_object_get(root, "required"), &vector->required,
			    &vector->question.required_count) &&
	       read_numbers(json_object_get(root, "expect"), &vector->expect,
			    &vector->expect_count);
	vector->question.want = (size_t)json_integer_value(json_object_get(root, "size"));
	if (good)
		number_required(vector);
	free(available);
	return good;
}

bool vector_read(const char *line, size_t size, struct vector *ret_vector)
{
	json_t *root = json_loadb(line, size, 0, NULL);
	bool good;

	memset(ret_vector, 0, sizeof *ret_vector);
	good = root && read_case(root, ret_vector);
	json_decref(root);
	if (!good)
		vector_free(ret_vector);
	return good;
}

void vector_free(struct vector *vector)
{
	ga_machine_free(vector->machine);
	free(vector->candidates);
	free(vector->required);
	free(vector->expect);
	memset(vector, 0, sizeof *vector);
}
