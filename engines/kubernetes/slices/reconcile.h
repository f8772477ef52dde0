/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the node's slices at the API server what they should be, in a worker. Contents that change
 * in place are written slice by slice; where devices or counters come or go, all slices get a new
 * generation, since schedulers skip a pool whose slices are not all of one.
 */
#ifndef SLICES_RECONCILE_H
#define SLICES_RECONCILE_H

#include "apiserver/client.h"
#include "offer.h"

/* A slice as the server has it. */
struct known_slice {
	char *name, *version;
	json_t *owners; /* as they are, or NULL */
	char *spec;     /* as text; what the server adds by itself is left out */
};

/* A device that is not offered any more, but may have been given to somebody just now. */
struct leaving_device {
	json_t *device;
	int64_t since; /* of ga_clock_ms() */
};

struct reconciler {
	const struct settings *settings;
	struct api_client *client;
	struct known_slice *known;
	size_t known_count;
	bool is_known;
	struct leaving_device *leaving;
	size_t leaving_count;
	json_t *owners; /* the node, so that its slices end with it */
	bool has_asked_for_node;
	json_t *labels; /* {uuid: label} of what was published before; NULL: not read yet */
};

struct reconciling {
	json_t *counter_sets, *devices; /* as they should be */
	json_t *ours;                   /* {counter: true} of GPUs that pods have */
	int64_t now;
	/* Set by it: */
	size_t written;
	size_t slices;
	int64_t generation;
};

/* Reads what is there, for the labels, and changes nothing. */
int reconciler_read(struct reconciler *reconciler, gpualloc_error *error);
int reconciler_write(struct reconciler *reconciler, struct reconciling *reconciling,
		     gpualloc_error *error);
/* Their parts that ask nobody: what a list says, the labels in it, and the slices to be written. */
int reconciler_take(struct reconciler *reconciler, const json_t *list, gpualloc_error *error);
int reconciler_learn(struct reconciler *reconciler, gpualloc_error *error);
json_t *reconciler_plan(struct reconciler *reconciler, struct reconciling *reconciling);
void reconciler_free(struct reconciler *reconciler);

/* Looks whether somebody else changed something; if so, what is known is forgotten. */
int reconciler_look(struct reconciler *reconciler, gpualloc_error *error);

#endif
