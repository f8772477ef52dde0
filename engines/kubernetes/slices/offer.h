/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's ResourceSlices as data. Each GPU has a counter, which the GPU, its MIG instances and
 * every set with it consume, so that the scheduler gives out nothing twice. It takes the first
 * device that fits: slices come in the order of their names, and devices within them as they lie
 * here, the best set of a size first. What cannot be given out now is tainted, not taken away.
 *
 * Counters are in slices of their own, as the API has it; eight memory slices a GPU, as MIG counts.
 */
#ifndef SLICES_OFFER_H
#define SLICES_OFFER_H

#include "sets.h"
#include "settings.h"

#include <jansson.h>

enum {
	OFFER_DEVICES = 64,   /* in a slice, since they consume counters */
	OFFER_COUNTERS = 32,  /* in a counter set */
	OFFER_SETS = 8,       /* counter sets in a slice */
	OFFER_SETS_DEVICE = 2 /* counter sets that one device consumes of */
};

/* Sets in terms of labels: places in the machine come and go. */
struct offer_sets {
	struct ranked_set *list; /* members: a bit for each label */
	size_t count;
	int64_t *alone; /* labels */
	size_t gpus;
	char (*uuids)[UNIT_ID]; /* of all GPUs that were looked at */
};

/*
 * The sets of the whole GPUs that are offered and present in the inventory's machine. Takes a
 * second or two of CPU where there are many GPUs of which not all sets are published.
 */
int offer_sets_make(const struct inventory *inventory, struct offer_sets *ret_sets,
		    gpualloc_error *error);
void offer_sets_free(struct offer_sets *sets);
/* Whether they are those of the GPUs that are offered now. */
bool offer_sets_fit(const struct offer_sets *sets, const struct inventory *inventory);

struct offer {
	struct inventory *inventory;
	const struct offer_sets *sets;
	const struct settings *settings;
	const char *sys; /* "/sys"; NULL: the machine is not this one */
	int64_t now;     /* of ga_clock_ms() */
};

/* Why a unit is not to be given out, in a word; NULL: it may be. */
const char *offer_why_not(const struct offer *offer, struct unit *unit);
/*
 * All devices, in order; arrays of what the API calls Device and CounterSet. All three are NULL
 * when out of memory, never short of something.
 */
json_t *offer_devices(const struct offer *offer);
json_t *offer_counter_sets(const struct offer *offer);
/* Replaces what a device is tainted with. */
void offer_taint(const struct settings *settings, json_t *device, const char *why);

/* An array of the node's ResourceSlices at that generation of its pool. */
json_t *offer_slices(const struct settings *settings, json_t *counter_sets, json_t *devices,
		     int64_t generation);
/* All of it, for kubectl. */
int offer_print(const struct settings *settings, struct ga_buffer *text, gpualloc_error *error);

#endif
