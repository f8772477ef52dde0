/* SPDX-License-Identifier: Apache-2.0 */
/* Regular and random machines; see partition_shapes.h. */
#include "partition_shapes.h"

#include <stdlib.h>

void question_of_shape_new(struct question_of_shape *ret, size_t count, const size_t *order,
			   size_t asked)
{
	*ret = (struct question_of_shape){0};
	if (ga_machine_new(count, &ret->machine, NULL) < 0)
		abort();
	ret->candidates = calloc(asked, sizeof *ret->candidates);
	ret->order = calloc(asked, sizeof *ret->order);
	if (!ret->candidates || !ret->order)
		abort();
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++)
			ga_links_set_level(&ret->machine->links, i, j, GPUALLOC_LEVEL_SYS);
	for (size_t i = 0; i < asked; i++) {
		size_t place = order ? order[i] : i;

		ret->order[i] = i;
		ret->candidates[i] = (struct ga_candidate){
			.device = &ret->machine->devices[place],
			.place = place,
			.free = GA_UNKNOWN,
		};
	}
	ret->question = (struct ga_question){
		.machine = ret->machine,
		.candidates = ret->candidates,
		.candidate_count = asked,
		.want = 1,
	};
}

void question_of_shape_free(struct question_of_shape *asked)
{
	ga_machine_free(asked->machine);
	free(asked->candidates);
	free(asked->order);
}

void shape_tree(gpualloc_machine *machine, const size_t *sizes, const int *nvlinks)
{
	for (size_t i = 0; i < machine->device_count; i++)
		for (size_t j = 0; j < i; j++) {
			size_t a = i, b = j, depth = 0;

			for (; sizes[depth] > 0; depth++) {
				a /= sizes[depth];
				b /= sizes[depth];
				if (a == b)
					break;
			}
			ga_links_set_level(&machine->links, i, j,
					   depth < 3 ? (enum gpualloc_level)(5 - 2 * depth)
						     : GPUALLOC_LEVEL_SYS);
			ga_links_set_nvlinks(&machine->links, i, j, nvlinks ? nvlinks[depth] : 0);
		}
}

size_t shapes_draw(struct shapes *shapes, size_t below)
{
	/* splitmix64 */
	uint64_t z = shapes->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (size_t)((z ^ (z >> 31)) % below);
}

void shapes_shuffle(struct shapes *shapes, size_t *list, size_t count)
{
	for (size_t i = count; i > 1; i--) {
		size_t j = shapes_draw(shapes, i), kept = list[i - 1];

		list[i - 1] = list[j];
		list[j] = kept;
	}
}

static void random_tree(struct shapes *shapes, gpualloc_machine *machine)
{
	const size_t sizes[] = {1 + shapes_draw(shapes, 4), 1 + shapes_draw(shapes, 3), 2, 0};
	const int nvlinks[] = {(int)shapes_draw(shapes, 3), 0, 0, 0};

	shape_tree(machine, sizes, nvlinks);
}

static void random_pairs(struct shapes *shapes, gpualloc_machine *machine, size_t kind)
{
	const size_t count = machine->device_count;

	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < i; j++) {
			if (kind != 2)
				ga_links_set_level(&machine->links, i, j,
						   (enum gpualloc_level)shapes_draw(shapes, 7));
			if (kind == 1 || (kind == 2 && shapes_draw(shapes, 2)))
				ga_links_set_nvlinks(&machine->links, i, j,
						     (int)shapes_draw(shapes, kind == 1 ? 9 : 3));
		}
}

void shapes_random_question(struct shapes *shapes, size_t count, struct question_of_shape *ret)
{
	const size_t kind = shapes->machines++ % 5, whole = count + shapes_draw(shapes, 3);
	size_t *order = calloc(whole, sizeof *order);

	if (!order)
		abort();
	for (size_t i = 0; i < whole; i++)
		order[i] = i;
	/* Every third machine is asked in order: that is the usual case. */
	if (shapes->machines % 3 != 0)
		shapes_shuffle(shapes, order, whole);
	question_of_shape_new(ret, whole, order, count);
	free(order);
	shapes_shuffle(shapes, ret->order, count);
	if (kind == 0 || kind == 3)
		random_tree(shapes, ret->machine);
	else
		random_pairs(shapes, ret->machine, kind);
}
