/* SPDX-License-Identifier: Apache-2.0 */
/* Requests in, answers out; see http.h. */
#include "http.h"

#include "clock.h"
#include "error.h"
#include "text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SWEEP_MS = 1000, PATH_SIZE = 256, ADDRESS_SIZE = 64 };

/* ---- where ---- */

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

static bool read_address(const char *text, size_t size, in_port_t port, union address *address)
{
	char host[ADDRESS_SIZE];

	if (size >= sizeof host)
		return false;
	(void)snprintf(host, sizeof host, "%.*s", (int)size, text);
	*address = (union address){0};
	if (size > 1 && host[0] == '[' && host[size - 1] == ']') {
		host[size - 1] = '\0';
		address->six.sin6_family = AF_INET6;
		address->six.sin6_port = htons(port);
		return inet_pton(AF_INET6, host + 1, &address->six.sin6_addr) == 1;
	}
	address->four.sin_family = AF_INET;
	address->four.sin_port = htons(port);
	return inet_pton(AF_INET, size ? host : "127.0.0.1", &address->four.sin_addr) == 1;
}

static int parse(const char *where, union address *address, gpualloc_error *error)
{
	const char *colon = strrchr(where, ':'), *port = colon ? colon + 1 : where;
	int64_t number;

	if (!ga_text_number(port, strlen(port), 65535, &number) || number == 0)
		return ga_error_set(error, GPUALLOC_EUSAGE,
				    "\"%s\" does not end with a port like :9400", where);
	if (!read_address(where, colon ? (size_t)(colon - where) : 0, (in_port_t)number, address))
		return ga_error_set(
			error, GPUALLOC_EUSAGE,
			"\"%s\" does not begin with an address in digits like 127.0.0.1 "
			"or [::1]",
			where);
	return 0;
}

int http_check(const char *where, gpualloc_error *error)
{
	union address address;

	return parse(where, &address, error);
}

/* ---- connections ---- */

static void drop(struct http_connection *connection)
{
	struct http *http = connection->http;

	for (size_t i = 0; i < HTTP_CONNECTIONS_MOST; i++)
		if (http->connections[i] == connection)
			http->connections[i] = NULL;
	loop_forget(http->loop, &connection->watch);
	close(connection->watch.fd);
	ga_buffer_free(&connection->answer);
	free(connection);
}

static const char *words_of(int status)
{
	return status == 200   ? "OK"
	       : status == 400 ? "Bad Request"
	       : status == 404 ? "Not Found"
	       : status == 405 ? "Method Not Allowed"
	       : status == 431 ? "Request Header Fields Too Large"
	       : status == 503 ? "Service Unavailable"
			       : "Internal Server Error";
}

static void answer(struct http_connection *connection, int status, const char *body, size_t size,
		   bool with_body)
{
	struct ga_buffer *text = &connection->answer;

	ga_buffer_format(text,
			 "HTTP/1.1 %d %s\r\nContent-Type: text/plain; version=0.0.4; "
			 "charset=utf-8\r\nContent-Length: %zu\r\n%sConnection: close\r\n\r\n",
			 status, words_of(status), size,
			 status == 405 ? "Allow: GET, HEAD\r\n" : "");
	if (with_body)
		ga_buffer_append(text, body, size);
	connection->is_answered = true;
}

static void refuse(struct http_connection *connection, int status)
{
	char body[64];
	int size = snprintf(body, sizeof body, "%s\n", words_of(status));

	answer(connection, status, body, (size_t)size, true);
}

/* "GET /metrics?x HTTP/1.1" */
static void read_request(struct http_connection *connection, struct ga_view line)
{
	ga_auto_buffer struct ga_buffer body = GA_BUFFER_INIT(HTTP_ANSWER_MOST);
	struct http *http = connection->http;
	bool is_head = line.size > 5 && memcmp(line.text, "HEAD ", 5) == 0;
	size_t method = is_head ? 5 : 4, size;
	char path[PATH_SIZE];
	const char *end;
	int status;

	if (line.size < 10 || !(end = memrchr(line.text, ' ', line.size)) ||
	    line.size - (size_t)(end - line.text) != sizeof " HTTP/1.1" - 1 ||
	    memcmp(end, " HTTP/1.", sizeof " HTTP/1." - 1) != 0) {
		refuse(connection, 400);
		return;
	}
	if (!is_head && memcmp(line.text, "GET ", 4) != 0) {
		refuse(connection, 405);
		return;
	}
	size = end > line.text + method ? (size_t)(end - line.text) - method : 0;
	if (size == 0 || line.text[method] != '/' || memchr(line.text + method, '\0', size)) {
		refuse(connection, 400);
		return;
	}
	if (size >= sizeof path) {
		refuse(connection, 404);
		return;
	}
	(void)snprintf(path, sizeof path, "%.*s", (int)size, line.text + method);
	path[strcspn(path, "?")] = '\0';
	status = http->answer(http->context, path, &body);
	if (body.failed)
		refuse(connection, 500);
	else if (status != 200 && body.size == 0)
		refuse(connection, status);
	else
		answer(connection, status, body.data, body.size, !is_head);
}

/* A request is whole with the empty line after its head; what lines there say does not matter. */
static void look_at_request(struct http_connection *connection)
{
	struct ga_view rest = {connection->request, connection->size}, line;

	if (!memmem(connection->request, connection->size, "\r\n\r\n", 4) &&
	    !memmem(connection->request, connection->size, "\n\n", 2)) {
		if (connection->size == sizeof connection->request)
			refuse(connection, 431);
		return;
	}
	(void)ga_view_line(&rest, &line);
	if (line.size && line.text[line.size - 1] == '\r')
		line.size--;
	read_request(connection, line);
}

/* Returns false when the connection is over. */
static bool read_more(struct http_connection *connection)
{
	char rest[1024];
	bool is_rest = connection->is_answered;
	char *place = is_rest ? rest : connection->request + connection->size;
	size_t room = is_rest ? sizeof rest : sizeof connection->request - connection->size;
	ssize_t size = recv(connection->watch.fd, place, room, 0);

	if (size <= 0)
		return size < 0 && (errno == EAGAIN || errno == EINTR);
	if (is_rest)
		return true;
	connection->size += (size_t)size;
	look_at_request(connection);
	return !connection->answer.failed;
}

/* The other side ends it: if we did while something is unread, it might lose the answer. */
static bool write_more(struct http_connection *connection)
{
	const struct ga_buffer *text = &connection->answer;
	ssize_t size;

	if (!connection->is_answered || connection->sent == text->size)
		return true;
	size = send(connection->watch.fd, text->data + connection->sent,
		    text->size - connection->sent, MSG_NOSIGNAL);
	if (size < 0)
		return errno == EAGAIN || errno == EINTR;
	connection->sent += (size_t)size;
	if (connection->sent == text->size)
		(void)shutdown(connection->watch.fd, SHUT_WR);
	return true;
}

static void work(void *context, uint32_t events)
{
	struct http_connection *connection = context;
	struct loop *loop = connection->http->loop;
	bool waits;

	if (((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !read_more(connection)) ||
	    !write_more(connection)) {
		drop(connection);
		return;
	}
	waits = connection->is_answered && connection->sent < connection->answer.size;
	(void)loop_change(loop, &connection->watch, waits ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* The place of the one that has been here longest goes to a new one. */
static struct http_connection **find_place(struct http *http)
{
	struct http_connection **oldest = NULL;

	for (size_t i = 0; i < HTTP_CONNECTIONS_MOST; i++) {
		struct http_connection **place = &http->connections[i];

		if (!*place)
			return place;
		if (!oldest || (*place)->since < (*oldest)->since)
			oldest = place;
	}
	drop(*oldest);
	return oldest;
}

void http_serve(struct http *http, int fd)
{
	struct http_connection *connection = calloc(1, sizeof *connection);

	if (!connection) {
		close(fd);
		return;
	}
	connection->http = http;
	connection->since = ga_clock_ms();
	connection->answer = GA_BUFFER_INIT(HTTP_ANSWER_MOST + 1024);
	connection->watch = (struct loop_watch){.fd = fd, .ready = work, .context = connection};
	*find_place(http) = connection;
	if (loop_watch(http->loop, &connection->watch, EPOLLIN) < 0)
		drop(connection);
}

static void accept_one(void *context, uint32_t events)
{
	struct http *http = context;
	int fd = accept4(http->watch.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0)
		http_serve(http, fd);
	else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		(void)loop_change(http->loop, &http->watch, 0); /* until the next sweep */
}

static void sweep(void *context)
{
	struct http *http = context;
	int64_t now = ga_clock_ms();

	for (size_t i = 0; i < HTTP_CONNECTIONS_MOST; i++)
		if (http->connections[i] && now - http->connections[i]->since > HTTP_PATIENCE_MS)
			drop(http->connections[i]);
	if (http->watch.fd >= 0)
		(void)loop_change(http->loop, &http->watch, EPOLLIN);
	loop_set(http->loop, &http->sweep, SWEEP_MS);
}

/* ---- the server ---- */

void http_open_closed(struct http *http, struct loop *loop)
{
	http->loop = loop;
	http->watch = (struct loop_watch){.fd = -1, .ready = accept_one, .context = http};
	http->sweep = (struct loop_timer){.ring = sweep, .context = http};
	loop_set(loop, &http->sweep, SWEEP_MS);
}

static int listen_at(int fd, const union address *address)
{
	socklen_t size =
		address->any.sa_family == AF_INET6 ? sizeof address->six : sizeof address->four;
	int yes = 1;

	return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
			       bind(fd, &address->any, size) < 0 ||
			       listen(fd, HTTP_CONNECTIONS_MOST) < 0
		       ? -1
		       : 0;
}

int http_open(struct http *http, struct loop *loop, const char *where, gpualloc_error *error)
{
	union address address;
	int result = parse(where, &address, error), fd;

	if (result < 0)
		return result;
	fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	http_open_closed(http, loop);
	http->watch.fd = fd;
	if (fd >= 0 && listen_at(fd, &address) == 0 && loop_watch(loop, &http->watch, EPOLLIN) == 0)
		return 0;
	result = ga_error_errno(error, GPUALLOC_EIO, errno, "%s", where);
	if (fd >= 0)
		close(fd);
	http->watch.fd = -1;
	http_close(http);
	return result;
}

void http_close(struct http *http)
{
	if (!http->loop)
		return;
	for (size_t i = 0; i < HTTP_CONNECTIONS_MOST; i++)
		if (http->connections[i])
			drop(http->connections[i]);
	loop_unset(http->loop, &http->sweep);
	if (http->watch.fd >= 0) {
		loop_forget(http->loop, &http->watch);
		close(http->watch.fd);
	}
	http->watch.fd = -1;
}
