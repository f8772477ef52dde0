/* SPDX-License-Identifier: Apache-2.0 */
/* Machines made of random numbers and of regular shapes, for tests of choosing. */
#ifndef PARTITION_SHAPES_H
#define PARTITION_SHAPES_H

#include "policy.h"

/* A machine and the question about all or some of its GPUs, in any order. */
struct question_of_shape {
	gpualloc_machine *machine; /* every pair SYS until it is set */
	struct ga_candidate *candidates;
	size_t *order; /* a random order of the candidates, to take the required from */
	struct ga_question question;
};

/* Of count GPUs those in order, or the first asked of them; ends the program without memory. */
void question_of_shape_new(struct question_of_shape *ret, size_t count, const size_t *order,
			   size_t asked);
void question_of_shape_free(struct question_of_shape *asked);

/*
 * GPUs in nested groups: sizes[0] GPUs in the smallest, sizes[1] of those in the next, and so on up
 * to a 0.
 */
void shape_tree(gpualloc_machine *machine, const size_t *sizes, const int *nvlinks);

struct shapes {
	uint64_t state; /* of the random numbers */
	size_t machines;
};

size_t shapes_draw(struct shapes *shapes, size_t below);
void shapes_shuffle(struct shapes *shapes, size_t *list, size_t count);
/* Flat, two-level, random weights, NVLink meshes in turn; candidates in a shuffled order. */
void shapes_random_question(struct shapes *shapes, size_t count, struct question_of_shape *ret);

#endif
