/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent: what the node offers is kept up to date from snapshots, the kernel's log, the store of
 * leases and the kubelet's list of pods, and told to the kubelet.
 */
#ifndef DEVICEPLUGIN_AGENT_H
#define DEVICEPLUGIN_AGENT_H

#include "claims.h"
#include "client.h"
#include "foresight.h"
#include "inventory.h"
#include "keeper.h"
#include "log.h"
#include "loop.h"
#include "metrics.h"
#include "prober.h"
#include "settings.h"
#include "worker.h"

#include <sys/stat.h>

struct dra;
struct facts;
struct plugin;
struct agent;

/* By which of its interfaces the kubelet is served. */
struct agent_front {
	/* Changes in it are told to check(). */
	const char *(*folder)(const struct settings *settings);
	/* The note of leases that were not taken for a certain pod. */
	const char *(*note)(const struct settings *settings);
	/* Sets is_known, now or later. */
	int (*begin)(struct agent *agent, gpualloc_error *error);
	/* Something changed that the cluster may have to be told. */
	void (*publish)(struct agent *agent);
	/* What pods have, which is to be leased. */
	int (*units)(const struct agent *agent, struct units_wanted *wanted);
	/* Every second, and when the folder changed; kubelet_is_new: kubelet.sock appeared there.
	 */
	void (*check)(struct agent *agent, bool kubelet_is_new);
	void (*end)(struct agent *agent);
};

struct agent {
	const struct settings *settings;
	const struct agent_front *front;
	struct log log;
	struct loop loop;
	int64_t started_at; /* milliseconds since 1970: who came first */
	gpualloc_policy *policy;

	struct inventory inventory;
	struct foresight foresight;
	struct metrics metrics;
	struct prober prober;
	struct worker probes; /* waits for it */
	struct loop_timer probe_at;
	int snapshot; /* as text */
	unsigned failed_probes;
	bool is_probing, probe_again;
	char told_of_machine[512];

	struct keeper keeper;
	struct worker leases;
	struct claims claims;
	bool is_settling, settle_again;
	bool is_settling_all; /* machine and pods were known when it was begun */
	bool has_settled;
	struct grpc_request *list;
	int64_t listed_at;
	struct loop_timer list_at;
	bool is_list_missing;
	struct stat list_socket; /* of the kubelet that answered last */
	char told_of_leases[512];
	bool is_known; /* what pods have, or that it is not to be had */

	struct plugin *plugins;
	struct dra *dra;
	struct facts *facts;
	struct loop_timer tick_at;
	struct loop_watch folder, signals, kernel_log;
	int folder_watch;
};

int agent_run(const struct settings *settings, const struct agent_front *front,
	      gpualloc_error *error);

/* For fronts: something changed that they may have to tell. */
void agent_publish(struct agent *agent);
/* Asks for the machine now. */
void agent_probe(struct agent *agent);
/* Holds the leases of what pods have, and looks at those of others. */
void agent_settle(struct agent *agent);

#endif
