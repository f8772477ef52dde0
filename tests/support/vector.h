/* SPDX-License-Identifier: Apache-2.0 */
/* A question to a policy with its answer, read from a line of tests/machines/vectors. */
#ifndef VECTOR_H
#define VECTOR_H

#include "policy.h"

struct vector {
	char name[64];
	gpualloc_machine *machine;
	struct ga_candidate *candidates; /* in the order given; places are GPUs of the machine */
	size_t *required;                /* numbers of candidates */
	size_t *expect;                  /* places, in order */
	size_t expect_count;
	struct ga_question question; /* of the above */
};

/* False if the line is not such a case, or when out of memory. */
bool vector_read(const char *line, size_t size, struct vector *ret_vector);
void vector_free(struct vector *vector);

#endif
