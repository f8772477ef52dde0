/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the kubelet how devices are, which it writes into the status of the pods that have them.
 * From 1.36 on it asks for that every five seconds, and complains in its log if nobody answers.
 */
#ifndef DRA_HEALTH_H
#define DRA_HEALTH_H

#include "message.h"
#include "server.h"

struct dra;

enum { HEALTH_STREAMS_MOST = 8 };

struct health {
	struct grpc_call *streams[HEALTH_STREAMS_MOST];
	size_t stream_count;
	struct grpc_shared *list; /* what was told last; NULL: nothing yet */
	int64_t seconds;          /* since 1970: its time */
};

/* The methods of the stream; context: the struct dra. */
void health_watch_called(void *context, struct grpc_call *call, const uint8_t *message,
			 size_t size);
void health_watch_ended(void *context, struct grpc_call *call);

/* Something may have changed, or time has passed. */
void health_update(struct dra *dra);

#endif
