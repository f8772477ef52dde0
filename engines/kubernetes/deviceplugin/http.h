/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As much of HTTP/1.1 as whoever collects metrics needs: GET and HEAD of a few paths, one request a
 * connection, in the event loop and within limits.
 */
#ifndef DEVICEPLUGIN_HTTP_H
#define DEVICEPLUGIN_HTTP_H

#include "buffer.h"
#include "loop.h"

enum {
	HTTP_REQUEST_MOST = 8192, /* the longest head of a request */
	HTTP_CONNECTIONS_MOST = 16,
	HTTP_ANSWER_MOST = 16 << 20,
	HTTP_PATIENCE_MS = 5000
};

struct http_connection {
	struct loop_watch watch; /* fd -1: not in use */
	struct http *http;
	int64_t since;
	char request[HTTP_REQUEST_MOST];
	size_t size;
	struct ga_buffer answer;
	size_t sent;
	bool is_answered;
};

struct http {
	struct loop *loop;
	struct loop_watch watch; /* listens; fd -1: does not */
	struct loop_timer sweep;
	struct http_connection *connections[HTTP_CONNECTIONS_MOST];
	/* Writes what is at the path; returns the status. */
	int (*answer)(void *context, const char *path, struct ga_buffer *body);
	void *context;
};

/* "[ADDRESS:]PORT", the address in digits and IPv6 in brackets; without one it is the loopback's.
 */
int http_check(const char *where, gpualloc_error *error);
/* http->answer and http->context are set. */
int http_open(struct http *http, struct loop *loop, const char *where, gpualloc_error *error);
/* The same without a port: only what http_serve() is given. */
void http_open_closed(struct http *http, struct loop *loop);
/* Serves one connection, which becomes the server's. */
void http_serve(struct http *http, int fd);
void http_close(struct http *http);

#endif
