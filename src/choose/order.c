/* SPDX-License-Identifier: Apache-2.0 */
/* A path through the devices, from each start to the nearest next; the best of them; see order.h.
 */
#include "order.h"

#include "cleanup.h"
#include "policy.h"

#include <string.h>

struct path {
	const gpualloc_machine *machine;
	const gpualloc_device **from; /* in order of index */
	const gpualloc_device **at;   /* the path as it grows */
	bool *used;
	size_t count;
};

static int64_t score(const struct path *path, const gpualloc_device *a, const gpualloc_device *b)
{
	return ga_pair_score(path->machine, (size_t)(a - path->machine->devices),
			     (size_t)(b - path->machine->devices));
}

static int64_t walk(struct path *path, size_t start)
{
	int64_t sum = 0;

	memset(path->used, 0, path->count * sizeof *path->used);
	path->at[0] = path->from[start];
	path->used[start] = true;
	for (size_t step = 1; step < path->count; step++) {
		int64_t best = -1;
		size_t next = 0;

		for (size_t i = 0; i < path->count; i++) {
			int64_t value =
				path->used[i] ? -1 : score(path, path->at[step - 1], path->from[i]);

			if (value > best) {
				best = value;
				next = i;
			}
		}
		path->at[step] = path->from[next];
		path->used[next] = true;
		sum += best;
	}
	/* A ring closes. */
	return sum + score(path, path->at[path->count - 1], path->at[0]);
}

static int compare_places(const void *a, const void *b)
{
	const gpualloc_device *const *one = a, *const *other = b;

	return *one < *other ? -1 : *one > *other;
}

int ga_order_devices(const gpualloc_machine *machine, const gpualloc_device **devices, size_t count,
		     gpualloc_error *error)
{
	ga_auto_free const gpualloc_device **from = calloc(count + 1, sizeof *from);
	ga_auto_free const gpualloc_device **at = calloc(count + 1, sizeof *at);
	ga_auto_free bool *used = calloc(count + 1, sizeof *used);
	struct path path = {machine, from, at, used, count};
	int64_t best = -1;

	if (!from || !at || !used)
		return ga_error_memory(error);
	for (size_t i = 0; i < count; i++) {
		if (devices[i]->parent)
			return 0;
		from[i] = devices[i];
	}
	if (count < 2)
		return 0;
	qsort(from, count, sizeof *from, compare_places);
	for (size_t start = 0; start < count; start++) {
		int64_t value = walk(&path, start);

		if (value > best) {
			best = value;
			memcpy(devices, at, count * sizeof *devices);
		}
	}
	return 0;
}
