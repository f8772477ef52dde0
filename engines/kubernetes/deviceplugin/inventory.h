/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the node offers: GPUs and MIG instances ("units"), each under the name of a resource, and
 * whether each may be given out now. Made of snapshots; whatever was offered once stays until it is
 * known to be gone. Nothing here asks anybody.
 */
#ifndef DEVICEPLUGIN_INVENTORY_H
#define DEVICEPLUGIN_INVENTORY_H

#include "buffer.h"
#include "settings.h"

#include <gpualloc/gpualloc.h>

enum { UNIT_ID = 64, REASON_SIZE = 256 };

struct unit {
	char uuid[UNIT_ID];
	char pci[UNIT_ID]; /* of its GPU */
	char resource[RESOURCE_SIZE];
	int64_t number;        /* of its GPU in the machine; -1: not in this snapshot */
	int64_t label;         /* of its GPU, as long as it is known: its index when it was new */
	int64_t gpu, instance; /* the order: index of the GPU, place of the instance or -1 */
	int64_t minor, gi, ci, numa;
	bool is_missing;  /* not in the last snapshot */
	bool is_withheld; /* fine, but not to be given out: excluded */
	bool is_used;     /* by programs without a lease, or by the pod that has it */
	int64_t probed_at;
	bool is_sick;      /* as the last probe found it */
	int64_t sick_at;   /* when it was last found sick, or an XID was about it; -1: never */
	bool is_leased;    /* outside Kubernetes */
	int64_t let_go_at; /* when our lease on it ended; -1: never */
	bool is_ours;      /* a pod has it */
	char reason[REASON_SIZE];
	char told[REASON_SIZE]; /* what was logged of it last: "" healthy */
};

struct inventory {
	gpualloc_machine *machine; /* the last snapshot; NULL: none yet */
	struct unit *units;        /* in order of index */
	size_t count;
	size_t without_uuid;
	bool is_uneven; /* mig=single, and the instances differ */
	bool is_blind;  /* the machine has not answered for long */
};

/*
 * Takes the machine over. began_at: when the snapshot was begun, of ga_clock_ms(). excluded: lines
 * "UUID REASON", what the administrator took out of use.
 */
int inventory_update(struct inventory *inventory, gpualloc_machine *machine,
		     const struct settings *settings, int64_t began_at, const char *excluded,
		     gpualloc_error *error);
void inventory_free(struct inventory *inventory);

/*
 * Gives the GPU of a unit with this UUID a label that it had before; to be called for all such
 * before anybody is told of labels.
 */
void inventory_relabel(struct inventory *inventory, const char *uuid, int64_t label);

/* "nvidia.com/gpu", and "nvidia.com/mig-…" beside it where these are offered. */
bool resource_is_ours(const char *resource, const struct settings *settings);

/* By UUID, or by the id of one of its replicas; NULL if there is none. */
struct unit *inventory_find(const struct inventory *inventory, const char *id);
/* Copies the UUID that an id begins with. */
void unit_of_id(const char *id, char uuid[static UNIT_ID]);

/* reason is set where it is not healthy. */
bool unit_is_healthy(struct unit *unit, const struct inventory *inventory,
		     const struct settings *settings, int64_t now);
/* When it could be healthy again by waiting; -1: it is not a matter of waiting. */
int64_t unit_heals_at(const struct unit *unit, const struct settings *settings);

#endif
