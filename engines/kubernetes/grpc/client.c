/* SPDX-License-Identifier: Apache-2.0 */
/* A connection for one call; see client.h. */
#include "client.h"

#include "error.h"
#include "text.h"
#include "transport.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { SENTENCE_SIZE = 1024 };

struct grpc_request {
	struct loop *loop;
	struct transport transport;
	struct loop_timer deadline;
	struct grpc_asked asked;
	uint8_t *message; /* with the prefix */
	size_t sent;
	struct grpc_incoming incoming;
	int64_t status; /* -1: not said */
	char sentence[SENTENCE_SIZE];
	bool is_http_good;
	bool is_over;
};

void grpc_request_drop(struct grpc_request *request)
{
	if (!request)
		return;
	loop_unset(request->loop, &request->deadline);
	transport_close(&request->transport);
	grpc_incoming_free(&request->incoming);
	free(request->message);
	free(request);
}

static void say(struct grpc_request *request, enum grpc_status status, const char *sentence)
{
	if (request->status >= 0)
		return;
	request->status = status;
	(void)snprintf(request->sentence, sizeof request->sentence, "%s", sentence);
}

/* The answer goes out when nothing of the request is in use any more. */
static void answer(struct grpc_request *request)
{
	struct grpc_asked asked = request->asked;
	const uint8_t *message = NULL;
	size_t size = 0;

	say(request, GRPC_UNAVAILABLE, "the connection was closed without an answer");
	if (request->status == GRPC_OK &&
	    grpc_incoming_end(&request->incoming, &message, &size) != GRPC_OK) {
		request->status = -1;
		say(request, GRPC_INTERNAL, "the answer is cut short");
	}
	loop_unset(request->loop, &request->deadline);
	asked.answered(asked.context, (enum grpc_status)request->status, request->sentence, message,
		       size);
	grpc_request_drop(request);
}

static void too_late(void *context)
{
	struct grpc_request *request = context;

	say(request, GRPC_DEADLINE_EXCEEDED, "no answer in time");
	answer(request);
}

/* ---- what the session says ---- */

static bool is(const uint8_t *text, size_t size, const char *word)
{
	return size == strlen(word) && memcmp(text, word, size) == 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
		     void *context)
{
	struct grpc_request *request = context;
	int64_t number;

	(void)session;
	(void)frame;
	(void)flags;
	if (is(name, name_size, ":status"))
		request->is_http_good = is(value, value_size, "200");
	else if (is(name, name_size, "grpc-status") && request->status < 0)
		request->status = ga_text_number((const char *)value, value_size, 1000, &number)
					  ? number
					  : GRPC_UNKNOWN;
	else if (is(name, name_size, "grpc-message") && !*request->sentence)
		grpc_percent_decode((const char *)value, value_size, request->sentence,
				    sizeof request->sentence);
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
		   size_t size, void *context)
{
	struct grpc_request *request = context;

	(void)session;
	(void)flags;
	(void)stream;
	if (grpc_incoming_add(&request->incoming, data, size) == GRPC_OK)
		return 0;
	say(request, GRPC_RESOURCE_EXHAUSTED, "the answer is too large, or not understood");
	request->is_over = true;
	return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t code, void *context)
{
	struct grpc_request *request = context;

	(void)session;
	(void)stream;
	(void)code;
	if (!request->is_http_good)
		say(request, GRPC_UNKNOWN, "the answer is not one of gRPC");
	request->is_over = true;
	return 0;
}

static ssize_t give_bytes(nghttp2_session *session, int32_t stream, uint8_t *data, size_t size,
			  uint32_t *flags, nghttp2_data_source *source, void *context)
{
	struct grpc_request *request = source->ptr;
	size_t left = GRPC_PREFIX + request->asked.size - request->sent;

	(void)session;
	(void)stream;
	(void)context;
	size = size < left ? size : left;
	memcpy(data, request->message + request->sent, size);
	request->sent += size;
	if (size == left)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)size;
}

/* ---- the call ---- */

static void work(void *context, uint32_t events)
{
	struct grpc_request *request = context;

	if (!transport_work(&request->transport, events) || request->is_over)
		answer(request);
}

static int open_session(struct grpc_request *request)
{
	nghttp2_session_callbacks *callbacks;
	int result;

	if (nghttp2_session_callbacks_new(&callbacks) < 0)
		return -1;
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	result = nghttp2_session_client_new(&request->transport.session, callbacks, request);
	nghttp2_session_callbacks_del(callbacks);
	return result;
}

static int submit(struct grpc_request *request)
{
	const nghttp2_nv headers[] = {
		transport_header(":method", "POST"),
		transport_header(":scheme", "http"),
		transport_header(":authority", "localhost"),
		transport_header(":path", request->asked.method),
		transport_header("content-type", "application/grpc"),
		transport_header("te", "trailers"),
	};
	nghttp2_data_provider provider = {.source.ptr = request, .read_callback = give_bytes};

	if (nghttp2_submit_settings(request->transport.session, NGHTTP2_FLAG_NONE, NULL, 0) < 0)
		return -1;
	return nghttp2_submit_request(request->transport.session, NULL, headers, 6, &provider,
				      NULL);
}

/* On a unix socket a connection is made at once or not at all. A descriptor, or a negative errno.
 */
static int try_to_connect(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, reason;

	if (strlen(path) >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	reason = -errno;
	close(fd);
	return reason;
}

int grpc_try(const char *socket)
{
	int fd = try_to_connect(socket);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static int connect_to(const char *path, gpualloc_error *error)
{
	int fd = try_to_connect(path);

	if (fd == -ENAMETOOLONG)
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "%s: the path of a socket has at most %zu bytes", path,
				    sizeof((struct sockaddr_un *)0)->sun_path - 1);
	return fd < 0 ? ga_error_errno(error, GPUALLOC_EIO, -fd, "%s", path) : fd;
}

static int copy_message(struct grpc_request *request, const struct grpc_asked *asked)
{
	request->message = malloc(GRPC_PREFIX + asked->size);
	if (!request->message)
		return -1;
	grpc_prefix(request->message, asked->size);
	if (asked->size)
		memcpy(request->message + GRPC_PREFIX, asked->message, asked->size);
	request->asked.message = NULL;
	return 0;
}

struct grpc_request *grpc_request_send(struct loop *loop, const struct grpc_asked *asked,
				       gpualloc_error *error)
{
	struct grpc_request *request = calloc(1, sizeof *request);
	int fd;

	if (!request) {
		(void)ga_error_memory(error);
		return NULL;
	}
	request->loop = loop;
	request->asked = *asked;
	request->status = -1;
	request->incoming.most = asked->most;
	request->transport.watch.fd = -1;
	request->deadline = (struct loop_timer){.ring = too_late, .context = request};
	fd = connect_to(asked->socket, error);
	if (fd < 0) {
		grpc_request_drop(request);
		return NULL;
	}
	if (transport_open(&request->transport, loop, fd, work, request) < 0 ||
	    copy_message(request, asked) < 0 || open_session(request) < 0 || submit(request) < 0 ||
	    !transport_flush(&request->transport)) {
		(void)ga_error_set(error, GPUALLOC_EIO, "%s: cannot send a request", asked->socket);
		grpc_request_drop(request);
		return NULL;
	}
	loop_set(loop, &request->deadline, asked->deadline_ms);
	return request;
}
