/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gRPC adds to HTTP/2: a message is five bytes (compressed or not, the length) and its bytes;
 * a call ends with a status and a sentence.
 */
#ifndef GRPC_MESSAGE_H
#define GRPC_MESSAGE_H

#include "buffer.h"

#include <stdint.h>

enum grpc_status {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_FAILED_PRECONDITION = 9,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14
};

enum { GRPC_PREFIX = 5 };

/* The one message of a call that has one, taken from pieces as they come. */
struct grpc_incoming {
	struct ga_buffer bytes; /* with the prefix */
	size_t most;            /* bytes of message that are accepted */
};

/* GRPC_OK, or the status to refuse the call with; nothing is kept beyond the limit. */
enum grpc_status grpc_incoming_add(struct grpc_incoming *incoming, const void *data, size_t size);
/* After the last piece: GRPC_OK and the message, or why there is none. */
enum grpc_status grpc_incoming_end(const struct grpc_incoming *incoming,
				   const uint8_t **ret_message, size_t *ret_size);
void grpc_incoming_free(struct grpc_incoming *incoming);

void grpc_prefix(uint8_t prefix[static GRPC_PREFIX], size_t size);

/* What is sent in common to many: counted references. */
struct grpc_shared {
	size_t users;
	size_t size;
	uint8_t bytes[]; /* with the prefix */
};
struct grpc_shared *grpc_shared_new(const void *message, size_t size);
void grpc_shared_release(struct grpc_shared *shared);

/* A sentence as the trailer grpc-message carries it, and back; both end in NUL and may be cut. */
void grpc_percent_encode(const char *sentence, char *text, size_t size);
void grpc_percent_decode(const char *text, size_t length, char *sentence, size_t size);

#endif
