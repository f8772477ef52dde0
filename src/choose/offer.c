/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which candidates are offered to a policy; see offer.h. */
#include "offer.h"

#include <stdlib.h>
#include <string.h>

/*
 * In GiB, so that GPUs of one model stay in order. An unknown amount counts as the largest, because
 * it cannot be "the least that suffices".
 */
static uint64_t size_class(const gpualloc_device *device)
{
	int64_t total = device->memory.total;

	return total < 0 ? UINT64_MAX : ((uint64_t)total + (UINT64_C(1) << 29)) >> 30;
}

static int compare_candidates(const void *a, const void *b)
{
	const struct ga_candidate *one = a, *other = b;
	uint64_t size = size_class(one->device), other_size = size_class(other->device);

	if ((one->device->display == 1) != (other->device->display == 1))
		return one->device->display == 1 ? 1 : -1;
	if (size != other_size)
		return size < other_size ? -1 : 1;
	if (one->place != other->place)
		return one->place < other->place ? -1 : 1;
	return one->device->index < other->device->index ? -1 : 1;
}

/* A GPU in the list stands for its instances. */
static void order_as_named(struct ga_candidate *candidates, size_t count,
			   const struct ga_device_list *only)
{
	size_t done = 0;

	for (size_t i = 0; i < only->count; i++)
		for (size_t c = done; c < count; c++) {
			struct ga_candidate candidate = candidates[c];

			if (candidate.device != only->devices[i] &&
			    candidate.device->parent != only->devices[i])
				continue;
			memmove(&candidates[done + 1], &candidates[done],
				(c - done) * sizeof *candidates);
			candidates[done++] = candidate;
		}
}

void ga_offer_in_order(struct ga_candidate *candidates, size_t count,
		       const struct ga_device_list *only)
{
	if (only)
		order_as_named(candidates, count, only);
	else
		qsort(candidates, count, sizeof *candidates, compare_candidates);
}
