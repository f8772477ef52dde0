/* SPDX-License-Identifier: Apache-2.0 */
/* The gRPC server: connections, and their calls; see server.h. */
#include "server.h"

#include "clock.h"
#include "error.h"
#include "transport.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { PATH_SIZE = 128, SENTENCE_SIZE = 1024, SWEEP_MS = 1000 };

struct grpc_call {
	struct connection *connection;
	struct grpc_call *next;
	int32_t stream;
	int64_t since;
	const struct grpc_method *method;
	void *note;
	char path[PATH_SIZE];
	bool is_post, is_grpc;
	bool is_called;   /* the method has it */
	bool is_answered; /* a response was submitted */
	bool is_last;     /* nothing follows what is being sent */
	struct grpc_incoming incoming;
	struct grpc_shared *sending, *next_state;
	size_t sent;
};

struct connection {
	struct grpc_server *server;
	struct connection *next;
	struct transport transport;
	struct grpc_call *calls;
	int64_t active_at;
	bool is_working; /* inside the session, which is flushed afterwards */
};

struct grpc_server {
	struct loop *loop;
	struct loop_watch watch;
	struct loop_timer sweep;
	struct connection *connections;
	size_t connection_count;
	size_t waiting;
	const struct grpc_method *methods;
	size_t method_count;
	void *context;
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	struct stat made;
	struct sockaddr_un address;
};

/* ---- calls ---- */

static void drop_incoming(struct grpc_call *call)
{
	call->connection->server->waiting -= call->incoming.bytes.size;
	grpc_incoming_free(&call->incoming);
}

/* It is in no list any more. */
static void free_call(struct grpc_call *call)
{
	if (call->is_called && !call->is_last && call->method->ended)
		call->method->ended(call->connection->server->context, call);
	drop_incoming(call);
	grpc_shared_release(call->sending);
	grpc_shared_release(call->next_state);
	free(call);
}

static void end_call(struct grpc_call *call)
{
	struct grpc_call **place = &call->connection->calls;

	while (*place != call)
		place = &(*place)->next;
	*place = call->next;
	free_call(call);
}

static void close_connection(struct connection *connection)
{
	struct grpc_server *server = connection->server;
	struct connection **place = &server->connections;

	while (*place != connection)
		place = &(*place)->next;
	*place = connection->next;
	server->connection_count--;
	while (connection->calls) {
		struct grpc_call *call = connection->calls;

		connection->calls = call->next;
		free_call(call);
	}
	transport_close(&connection->transport);
	free(connection);
}

static void flush(struct connection *connection)
{
	if (connection->is_working)
		return;
	if (!transport_flush(&connection->transport))
		close_connection(connection);
}

/* One HEADERS frame that says it all. */
static void submit_failure(struct grpc_call *call, const char *http_status, enum grpc_status status,
			   const char *sentence)
{
	char number[16], text[SENTENCE_SIZE];
	nghttp2_session *session = call->connection->transport.session;

	(void)snprintf(number, sizeof number, "%d", (int)status);
	grpc_percent_encode(sentence, text, sizeof text);
	const nghttp2_nv headers[] = {
		transport_header(":status", http_status),
		transport_header("content-type", "application/grpc"),
		transport_header("grpc-status", number),
		transport_header("grpc-message", text),
	};

	call->is_answered = call->is_last = true;
	(void)nghttp2_submit_response(session, call->stream, headers, 4, NULL);
	drop_incoming(call);
}

void grpc_call_fail(struct grpc_call *call, enum grpc_status status, const char *sentence)
{
	if (!call->is_answered)
		submit_failure(call, "200", status, sentence);
	else
		(void)nghttp2_submit_rst_stream(call->connection->transport.session,
						NGHTTP2_FLAG_NONE, call->stream,
						NGHTTP2_INTERNAL_ERROR);
	call->is_last = true;
	flush(call->connection);
}

static void finish_sending(nghttp2_session *session, struct grpc_call *call, uint32_t *flags)
{
	const nghttp2_nv trailers[] = {transport_header("grpc-status", "0")};

	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (nghttp2_submit_trailer(session, call->stream, trailers, 1) == 0)
		*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
}

static ssize_t give_bytes(nghttp2_session *session, int32_t stream, uint8_t *data, size_t size,
			  uint32_t *flags, nghttp2_data_source *source, void *context)
{
	struct grpc_call *call = source->ptr;
	size_t left;

	(void)stream;
	(void)context;
	if (!call->sending) {
		call->sending = call->next_state;
		call->next_state = NULL;
		call->sent = 0;
	}
	if (!call->sending)
		return NGHTTP2_ERR_DEFERRED;
	left = call->sending->size - call->sent;
	size = size < left ? size : left;
	memcpy(data, call->sending->bytes + call->sent, size);
	call->sent += size;
	if (size == left) {
		grpc_shared_release(call->sending);
		call->sending = NULL;
		if (call->is_last)
			finish_sending(session, call, flags);
	}
	return (ssize_t)size;
}

static void submit_bytes(struct grpc_call *call)
{
	static const char type[] = "application/grpc";
	const nghttp2_nv headers[] = {
		transport_header(":status", "200"),
		transport_header("content-type", type),
	};
	nghttp2_data_provider provider = {.source.ptr = call, .read_callback = give_bytes};
	nghttp2_session *session = call->connection->transport.session;

	if (call->is_answered) {
		(void)nghttp2_session_resume_data(session, call->stream);
		return;
	}
	call->is_answered = true;
	if (nghttp2_submit_response(session, call->stream, headers, 2, &provider) < 0)
		(void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, call->stream,
						NGHTTP2_INTERNAL_ERROR);
}

void grpc_call_tell(struct grpc_call *call, struct grpc_shared *shared)
{
	shared->users++;
	grpc_shared_release(call->next_state);
	call->next_state = shared;
	submit_bytes(call);
	flush(call->connection);
}

void grpc_call_reply(struct grpc_call *call, const void *message, size_t size)
{
	struct grpc_shared *shared = grpc_shared_new(message, size);

	if (!shared) {
		grpc_call_fail(call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	call->is_last = true;
	call->next_state = shared;
	submit_bytes(call);
	flush(call->connection);
}

void grpc_call_set_note(struct grpc_call *call, void *note)
{
	call->note = note;
}

void *grpc_call_note(const struct grpc_call *call)
{
	return call->note;
}

/* ---- what the session says ---- */

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
	struct connection *connection = context;
	struct grpc_call *call;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	call = calloc(1, sizeof *call);
	if (!call)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	call->connection = connection;
	call->stream = frame->hd.stream_id;
	call->since = ga_clock_ms();
	call->incoming.most = GRPC_MESSAGE_MOST;
	call->next = connection->calls;
	connection->calls = call;
	connection->active_at = call->since;
	return nghttp2_session_set_stream_user_data(session, call->stream, call);
}

static bool is(const uint8_t *text, size_t size, const char *word)
{
	return size == strlen(word) && memcmp(text, word, size) == 0;
}

/* "application/grpc", "application/grpc+proto" */
static bool is_grpc(const uint8_t *value, size_t size)
{
	static const char type[] = "application/grpc";
	size_t length = strlen(type);

	return size >= length && memcmp(value, type, length) == 0 &&
	       (size == length || value[length] == '+' || value[length] == ';');
}

/* Where the authority is a path, as old kubelets have it, the library would refuse: so do we check.
 */
static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
		     void *context)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	(void)flags;
	(void)context;
	if (!call || call->is_called)
		return 0;
	if (is(name, name_size, ":method"))
		call->is_post = is(value, value_size, "POST");
	else if (is(name, name_size, ":path") && value_size < sizeof call->path)
		(void)snprintf(call->path, sizeof call->path, "%.*s", (int)value_size,
			       (const char *)value);
	else if (is(name, name_size, "content-type"))
		call->is_grpc = is_grpc(value, value_size);
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
		   size_t size, void *context)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(session, stream);
	struct connection *connection = context;
	struct grpc_server *server = connection->server;
	enum grpc_status status;

	(void)flags;
	if (!call || call->is_answered)
		return 0;
	if (server->waiting + size > GRPC_WAITING_MOST) {
		submit_failure(call, "200", GRPC_RESOURCE_EXHAUSTED,
			       "too many requests at the same time");
		return 0;
	}
	size_t before = call->incoming.bytes.size;

	status = grpc_incoming_add(&call->incoming, data, size);
	server->waiting += call->incoming.bytes.size - before;
	if (status == GRPC_UNIMPLEMENTED)
		submit_failure(call, "200", status,
			       "the message is compressed, or more than one message: neither is "
			       "understood");
	else if (status != GRPC_OK)
		submit_failure(call, "200", status, "the message is too large");
	return 0;
}

static const struct grpc_method *find_method(const struct grpc_server *server, const char *path)
{
	for (size_t i = 0; i < server->method_count; i++)
		if (strcmp(server->methods[i].path, path) == 0)
			return &server->methods[i];
	return NULL;
}

static void begin_call(struct grpc_call *call)
{
	struct grpc_server *server = call->connection->server;
	const uint8_t *message;
	size_t size;

	call->method = find_method(server, call->path);
	if (!call->is_post)
		submit_failure(call, "405", GRPC_INTERNAL, "only POST is understood");
	else if (!call->is_grpc)
		submit_failure(call, "415", GRPC_INTERNAL, "only application/grpc is understood");
	else if (!call->method)
		submit_failure(call, "200", GRPC_UNIMPLEMENTED, "no such method");
	else if (grpc_incoming_end(&call->incoming, &message, &size) != GRPC_OK)
		submit_failure(call, "200", GRPC_INTERNAL, "the message is cut short");
	else {
		call->is_called = true;
		call->method->called(server->context, call, message, size);
	}
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	(void)context;
	if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
	    !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) || !call)
		return 0;
	if (!call->is_answered && !call->is_called)
		begin_call(call);
	if (call->incoming.bytes.data)
		drop_incoming(call);
	return 0;
}

/* Where we ended before the other side did, it need not go on. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
	(void)context;
	if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
	    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
	    !nghttp2_session_get_stream_remote_close(session, frame->hd.stream_id))
		(void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
						NGHTTP2_NO_ERROR);
	return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t code, void *context)
{
	struct grpc_call *call = nghttp2_session_get_stream_user_data(session, stream);

	(void)code;
	(void)context;
	if (call)
		end_call(call);
	return 0;
}

/* ---- connections ---- */

static void work(void *context, uint32_t events)
{
	struct connection *connection = context;
	bool is_good;

	connection->is_working = true;
	connection->active_at = ga_clock_ms();
	is_good = transport_work(&connection->transport, events);
	connection->is_working = false;
	if (!is_good)
		close_connection(connection);
}

/* Room for one more: the connection without a call that was silent for longest goes. */
static bool make_room(struct grpc_server *server)
{
	struct connection *oldest = NULL;

	if (server->connection_count < GRPC_CONNECTIONS_MOST)
		return true;
	for (struct connection *one = server->connections; one; one = one->next)
		if (!one->calls && (!oldest || one->active_at < oldest->active_at))
			oldest = one;
	if (oldest)
		close_connection(oldest);
	return oldest != NULL;
}

void grpc_server_serve(struct grpc_server *server, int fd)
{
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, GRPC_STREAMS_MOST},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 16 << 10}};
	struct connection *connection = calloc(1, sizeof *connection);

	if (!connection) {
		close(fd);
		return;
	}
	connection->server = server;
	connection->active_at = ga_clock_ms();
	connection->next = server->connections;
	server->connections = connection;
	server->connection_count++;
	if (transport_open(&connection->transport, server->loop, fd, work, connection) < 0 ||
	    nghttp2_session_server_new2(&connection->transport.session, server->callbacks,
					connection, server->option) < 0 ||
	    nghttp2_submit_settings(connection->transport.session, NGHTTP2_FLAG_NONE, settings, 2) <
		    0)
		close_connection(connection);
	else
		flush(connection);
}

static void accept_one(void *context, uint32_t events)
{
	struct grpc_server *server = context;
	int fd = accept4(server->watch.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0 && make_room(server)) {
		grpc_server_serve(server, fd);
		return;
	}
	if (fd >= 0)
		close(fd);
	/* Out of descriptors it would be ready again at once, for ever. */
	else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		(void)loop_change(server->loop, &server->watch, 0);
}

/* Who takes for ever to ask, or to read what was answered, is not waited for. */
static bool is_stuck(const struct connection *connection, int64_t now)
{
	if (connection->transport.unsent_size > 0)
		return now - connection->active_at > GRPC_PATIENCE_MS;
	for (const struct grpc_call *call = connection->calls; call; call = call->next)
		if (!call->is_called && now - call->since > GRPC_PATIENCE_MS)
			return true;
	return false;
}

static void sweep(void *context)
{
	struct grpc_server *server = context;
	int64_t now = ga_clock_ms();
	struct connection *next;

	for (struct connection *one = server->connections; one; one = next) {
		next = one->next;
		if (is_stuck(one, now))
			close_connection(one);
	}
	if (server->watch.fd >= 0)
		(void)loop_change(server->loop, &server->watch, EPOLLIN);
	loop_set(server->loop, &server->sweep, SWEEP_MS);
}

/* ---- the server ---- */

static int set_up_http(struct grpc_server *server)
{
	if (nghttp2_session_callbacks_new(&server->callbacks) < 0 ||
	    nghttp2_option_new(&server->option) < 0)
		return -1;
	nghttp2_option_set_no_http_messaging(server->option, 1);
	nghttp2_session_callbacks_set_on_begin_headers_callback(server->callbacks, on_begin);
	nghttp2_session_callbacks_set_on_header_callback(server->callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(server->callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(server->callbacks, on_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(server->callbacks, on_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(server->callbacks, on_close);
	return 0;
}

static int listen_at(struct grpc_server *server, const char *path, gpualloc_error *error)
{
	size_t length = strlen(path);
	int fd;

	if (length >= sizeof server->address.sun_path)
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "%s: the path of a socket has at most %zu bytes; use a shorter "
				    "folder",
				    path, sizeof server->address.sun_path - 1);
	server->address.sun_family = AF_UNIX;
	memcpy(server->address.sun_path, path, length);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "cannot make a socket");
	server->watch.fd = fd;
	/* Nobody can connect before listen(), so the mode is in time. */
	if (bind(fd, (struct sockaddr *)&server->address, sizeof server->address) < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "%s", path);
	if (lstat(path, &server->made) < 0 || chmod(path, 0600) < 0 || listen(fd, SOMAXCONN) < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "%s", path);
	return 0;
}

int grpc_server_open(struct loop *loop, const char *path, const struct grpc_method *methods,
		     size_t count, void *context, struct grpc_server **ret_server,
		     gpualloc_error *error)
{
	struct grpc_server *server = calloc(1, sizeof *server);
	int result;

	if (!server)
		return ga_error_memory(error);
	server->loop = loop;
	server->methods = methods;
	server->method_count = count;
	server->context = context;
	server->watch = (struct loop_watch){.fd = -1, .ready = accept_one, .context = server};
	server->sweep = (struct loop_timer){.ring = sweep, .context = server};
	result = set_up_http(server) < 0 ? ga_error_memory(error) : 0;
	if (result == 0 && path)
		result = listen_at(server, path, error);
	if (result == 0 && path && loop_watch(loop, &server->watch, EPOLLIN) < 0)
		result = ga_error_errno(error, GPUALLOC_EIO, errno, "%s", path);
	if (result < 0) {
		grpc_server_close(server);
		return result;
	}
	loop_set(loop, &server->sweep, SWEEP_MS);
	*ret_server = server;
	return 0;
}

bool grpc_server_is_there(const struct grpc_server *server)
{
	struct stat now;

	return server && server->made.st_ino && lstat(server->address.sun_path, &now) == 0 &&
	       now.st_ino == server->made.st_ino && now.st_dev == server->made.st_dev;
}

void grpc_server_close(struct grpc_server *server)
{
	if (!server)
		return;
	while (server->connections)
		close_connection(server->connections);
	loop_unset(server->loop, &server->sweep);
	if (grpc_server_is_there(server))
		(void)unlink(server->address.sun_path);
	if (server->watch.fd >= 0) {
		loop_forget(server->loop, &server->watch);
		close(server->watch.fd);
	}
	nghttp2_session_callbacks_del(server->callbacks);
	nghttp2_option_del(server->option);
	free(server);
}
