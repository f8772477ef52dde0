/* SPDX-License-Identifier: Apache-2.0 */
/* A call's operations, and its answer when all of them are over. */
#ifndef DRA_ANSWER_H
#define DRA_ANSWER_H

#include "allocation.h"
#include "dra.h"
#include "server.h"

#include "dra.pb-c.h"

enum { OPERATION_NAME = 254, FAILURE_SIZE = 1024 };

/* One device of the claim, and what it consists of. */
struct answer_device {
	char request[ALLOCATION_NAME], name[ALLOCATION_NAME];
	struct claim_units units;
};

struct operation {
	struct operation *next; /* of all that are not over */
	struct dra *dra;
	struct dra_answer *answer;
	char key[CLAIM_UID * 2]; /* the uid as it came */
	char uid[CLAIM_UID];
	char namespace[OPERATION_NAME], name[OPERATION_NAME];
	char note[256]; /* of its leases */
	char driver_version[64];
	int64_t since;
	bool is_waiting;   /* for the machine to be known */
	bool is_cancelled; /* it was unprepared since */
	struct prepared_claim *claim;
	struct answer_device *devices;
	size_t device_count;
	struct claim_units units; /* of all devices */
	char failure[FAILURE_SIZE];
};

struct dra_answer {
	struct dra *dra;
	struct grpc_call *call; /* NULL: nobody waits for it any more */
	bool is_prepare;
	int64_t since_us;
	size_t left; /* operations that are not over, and one for the call itself */
	size_t count;
	struct operation operations[];
};

/* NULL: out of memory. It frees itself with the last answer_when_complete(). */
struct dra_answer *answer_new(struct dra *dra, struct grpc_call *call, bool is_prepare,
			      const Dra__Claims *request);
/* To be called for each operation that is over, and once when all were begun. */
void answer_when_complete(struct dra_answer *answer);
/* NULL: out of memory. */
struct answer_device *answer_add_device(struct operation *operation,
					const struct allocation_result *result);

#endif
