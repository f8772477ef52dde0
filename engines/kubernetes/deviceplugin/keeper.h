/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's leases for what pods have. All of this runs in one worker: a lock may take its time.
 * The leases are held by this process's descriptors and end with it, unless an agent that was
 * started later has taken part in them by then. So nothing is ever given back for others: each lets
 * go of its own share.
 */
#ifndef DEVICEPLUGIN_KEEPER_H
#define DEVICEPLUGIN_KEEPER_H

#include "inventory.h"
#include "worker.h"

enum { LEASE_ID = 16 };

struct held_unit {
	char uuid[UNIT_ID];
	bool is_mig;
	bool is_being_leased;  /* of those wanted: another job sees to it */
	gpualloc_lease *lease; /* NULL: an older agent acquired it */
	int fd;                /* then our share in it */
	char id[LEASE_ID];
};

struct keeper {
	const struct settings *settings;
	gpualloc_store *store;
	struct held_unit *held;
	size_t count;
};

/* A list of units by UUID; is_mig tells instances. */
struct units_wanted {
	struct held_unit *list; /* without leases */
	size_t count;
};

int units_wanted_add(struct units_wanted *wanted, const char *uuid, bool is_mig);
void units_wanted_free(struct units_wanted *wanted);

/*
 * What one job of the keeper does. machine is a descriptor of a snapshot as text, so that no driver
 * is asked for a lease.
 */
struct keeping {
	struct job job;
	struct keeper *keeper;
	int machine;
	struct units_wanted wanted;
	const char *who; /* for people who look up who holds what */
	bool is_all;     /* what cannot be had is only told */
	bool gives_back; /* what else is held */
	bool is_return;  /* what is wanted is given back, and nothing is taken */
	int result;
	gpualloc_error *error;
	struct units_wanted taken_by_others; /* after is_all */
	struct ga_buffer notes;              /* sentences, each ended by NUL */
	void *context;                       /* the caller's */
};

int keeper_open(struct keeper *keeper, const struct settings *settings, gpualloc_error *error);
/*
 * Takes part in what older agents hold for the same resource, before any job: so that nobody gets
 * it in between when they end. Returns how many could not be shared; error says why.
 */
size_t keeper_inherit(struct keeper *keeper, gpualloc_error *error);
/* In the thread of the caller, when no worker works any more. */
void keeper_close(struct keeper *keeper);

struct keeping *keeping_new(struct keeper *keeper, int machine);
void keeping_free(struct keeping *keeping);
/* The job's work. */
void keeping_work(struct job *job);

/* A descriptor from which a snapshot can be read as often as one likes; -1 on failure. */
int snapshot_keep(const char *text, size_t size, gpualloc_error *error);

#endif
