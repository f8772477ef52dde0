/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/2 session over a socket in the event loop: bytes in, bytes out. Not more is kept of what
 * is to be sent than one piece, however slowly the other side reads.
 */
#ifndef GRPC_TRANSPORT_H
#define GRPC_TRANSPORT_H

#include "loop.h"

#include <nghttp2/nghttp2.h>
#include <stddef.h>
#include <string.h>

struct transport {
	struct loop *loop;
	struct loop_watch watch;
	nghttp2_session *session;
	const uint8_t *unsent; /* of the session; valid until it is asked for more */
	size_t unsent_size;
};

/* The descriptor becomes the transport's. ready() is to call transport_work(). */
int transport_open(struct transport *transport, struct loop *loop, int fd,
		   void (*ready)(void *context, uint32_t events), void *context);
/* Reads and writes what there is. false: it is over, and to be closed. */
bool transport_work(struct transport *transport, uint32_t events);
/* Sends what the session has to say; false as above. */
bool transport_flush(struct transport *transport);
void transport_close(struct transport *transport);

/* A header; both texts must outlive the call that it is given to. */
static inline nghttp2_nv transport_header(const char *name, const char *value)
{
	union {
		const char *text;
		uint8_t *bytes; /* which nobody changes */
	} name_is = {.text = name}, value_is = {.text = value};

	return (nghttp2_nv){name_is.bytes, value_is.bytes, strlen(name), strlen(value),
			    NGHTTP2_NV_FLAG_NONE};
}

#endif
