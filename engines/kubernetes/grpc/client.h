/* SPDX-License-Identifier: Apache-2.0 */
/* One gRPC call to a server on a unix socket, without waiting for it. */
#ifndef GRPC_CLIENT_H
#define GRPC_CLIENT_H

#include "loop.h"
#include "message.h"

#include <stddef.h>

struct grpc_request;

struct grpc_asked {
	const char *socket; /* its path */
	const char *method; /* "/v1beta1.Registration/Register" */
	const void *message;
	size_t size;
	size_t most; /* bytes that the answer may have */
	int64_t deadline_ms;
	/*
	 * Called once, from the loop, unless the request was dropped before; message is valid
	 * during the call. sentence is "" where all went well.
	 */
	void (*answered)(void *context, enum grpc_status status, const char *sentence,
			 const uint8_t *message, size_t size);
	void *context;
};

/* NULL: not even begun, and error says why. All it is asked is copied, but socket and method. */
struct grpc_request *grpc_request_send(struct loop *loop, const struct grpc_asked *asked,
				       gpualloc_error *error);
void grpc_request_drop(struct grpc_request *request);

/* Whether somebody listens at a socket: 0, or a negative errno (-ECONNREFUSED: nobody any more). */
int grpc_try(const char *socket);

#endif
