/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes between a socket and an HTTP/2 session; see transport.h. */
#include "transport.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 16384 };

int transport_open(struct transport *transport, struct loop *loop, int fd,
		   void (*ready)(void *context, uint32_t events), void *context)
{
	transport->loop = loop;
	transport->watch = (struct loop_watch){.fd = fd, .ready = ready, .context = context};
	return loop_watch(loop, &transport->watch, EPOLLIN);
}

static bool read_some(struct transport *transport)
{
	uint8_t piece[PIECE];
	ssize_t size = recv(transport->watch.fd, piece, sizeof piece, MSG_DONTWAIT);

	if (size < 0)
		return errno == EAGAIN || errno == EINTR;
	if (size == 0)
		return false;
	return nghttp2_session_mem_recv(transport->session, piece, (size_t)size) >= 0;
}

/* 1: sent, 0: the socket is full, -1: it is broken. */
static int send_unsent(struct transport *transport)
{
	while (transport->unsent_size > 0) {
		ssize_t size = send(transport->watch.fd, transport->unsent, transport->unsent_size,
				    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return errno == EAGAIN ? 0 : -1;
		transport->unsent += size;
		transport->unsent_size -= (size_t)size;
	}
	return 1;
}

bool transport_flush(struct transport *transport)
{
	int sent;

	while ((sent = send_unsent(transport)) > 0) {
		ssize_t size = nghttp2_session_mem_send(transport->session, &transport->unsent);

		if (size < 0)
			return false;
		if (size == 0)
			break;
		transport->unsent_size = (size_t)size;
	}
	if (sent < 0)
		return false;
	/* While it does not take what we have, we do not take more from it. */
	if (loop_change(transport->loop, &transport->watch, sent ? EPOLLIN : EPOLLOUT) < 0)
		return false;
	return sent == 0 || nghttp2_session_want_read(transport->session) ||
	       nghttp2_session_want_write(transport->session);
}

bool transport_work(struct transport *transport, uint32_t events)
{
	if ((events & EPOLLERR) || ((events & EPOLLHUP) && !(events & EPOLLIN)))
		return false;
	if ((events & EPOLLIN) && !read_some(transport))
		return false;
	return transport_flush(transport);
}

void transport_close(struct transport *transport)
{
	if (transport->watch.fd >= 0) {
		loop_forget(transport->loop, &transport->watch);
		close(transport->watch.fd);
	}
	transport->watch.fd = -1;
	nghttp2_session_del(transport->session);
	transport->session = NULL;
}
