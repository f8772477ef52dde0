/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kubelet's side of Dynamic Resource Allocation: claims are prepared on this node (their
 * devices leased, their CDI files written) and unprepared. The folder of CDI files is the truth
 * about which claims are prepared; the table here follows it.
 */
#ifndef DRA_DRA_H
#define DRA_DRA_H

#include "agent.h"
#include "claim_file.h"
#include "client.h"
#include "health.h"
#include "registration.h"

struct operation;
struct api_client;
struct publisher;

/* A claim that is prepared, or is just being prepared. */
struct prepared_claim {
	struct prepared_claim *next;
	char uid[CLAIM_UID];
	struct claim_units units;
	bool is_prepared; /* there is a file */
	unsigned pending; /* operations that are preparing it */
};

struct dra {
	struct agent *agent;
	struct api_client *api; /* the worker's */
	struct worker gets;     /* asks the API server */
	bool is_asking;
	struct publisher *publisher;
	struct registration registration;
	struct health health;
	int64_t shared_at; /* when another agent was last seen, of ga_clock_ms(); 0: never */
	struct prepared_claim *claims;
	struct operation *operations; /* those that are not over */
	size_t operation_count;
};

extern const struct agent_front dra_front;

struct prepared_claim *dra_find(const struct dra *dra, const char *uid);
/* NULL: out of memory. */
struct prepared_claim *dra_add(struct dra *dra, const char *uid);
void dra_drop(struct dra *dra, struct prepared_claim *claim);

#endif
