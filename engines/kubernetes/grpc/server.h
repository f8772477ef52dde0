/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gRPC server on a unix socket: calls with one message in, and one or a stream of whole states
 * out. It serves whoever comes within limits: so many connections (the longest idle one makes room
 * for a new one), so many streams, so many bytes waiting, so much time to say what is wanted.
 */
#ifndef GRPC_SERVER_H
#define GRPC_SERVER_H

#include "loop.h"
#include "message.h"

#include <stddef.h>
#include <sys/types.h>

struct grpc_server;
struct grpc_call;

struct grpc_method {
	const char *path; /* "/v1beta1.DevicePlugin/Allocate" */
	/*
	 * Answers now or later, by grpc_call_reply(), grpc_call_fail() or, as often as there is
	 * something new, grpc_call_tell(). The message is valid during this call only.
	 */
	void (*called)(void *context, struct grpc_call *call, const uint8_t *message, size_t size);
	/* A call of this method that was not answered is over; it must not be used any more. */
	void (*ended)(void *context, struct grpc_call *call);
};

/*
 * Makes the socket, for the user alone, and serves. path must not exist; NULL: there is no socket,
 * only what grpc_server_serve() is given.
 */
int grpc_server_open(struct loop *loop, const char *path, const struct grpc_method *methods,
		     size_t count, void *context, struct grpc_server **ret_server,
		     gpualloc_error *error);
/* Serves one connection, which becomes the server's. */
void grpc_server_serve(struct grpc_server *server, int fd);
/* Ends all calls; unlinks the socket if it is still the one that was made. */
void grpc_server_close(struct grpc_server *server);
/* Whether the socket is still at its path. */
bool grpc_server_is_there(const struct grpc_server *server);

/* The answer, which ends the call. Out of memory ends it with a status instead. */
void grpc_call_reply(struct grpc_call *call, const void *message, size_t size);
void grpc_call_fail(struct grpc_call *call, enum grpc_status status, const char *sentence);
/* The state as it is now, in place of one that was not begun to be sent. The call goes on. */
void grpc_call_tell(struct grpc_call *call, struct grpc_shared *shared);

/* For the caller's use. */
void grpc_call_set_note(struct grpc_call *call, void *note);
void *grpc_call_note(const struct grpc_call *call);

enum {
	GRPC_CONNECTIONS_MOST = 128,
	GRPC_STREAMS_MOST = 128,      /* of a connection */
	GRPC_MESSAGE_MOST = 4 << 20,  /* as grpc-go has it */
	GRPC_WAITING_MOST = 16 << 20, /* bytes of unfinished messages, of all together */
	GRPC_PATIENCE_MS = 10000
};

#endif
