/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody says to the port for metrics: a request, in two pieces. */
#include "fuzz.h"

#include "http.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STEPS_MOST = 1000, INPUT_MOST = 1 << 15 };

static int answer(void *context, const char *path, struct ga_buffer *body)
{
	int *asked = context;

	++*asked;
	fuzz_require(*path == '/' && strlen(path) < 256 && !strchr(path, '?'), "it is a path");
	ga_buffer_text(body, path);
	return strcmp(path, "/metrics") == 0 ? 200 : 404;
}

static void work(struct loop *loop)
{
	for (int step = 0; step < STEPS_MOST && loop_step(loop, 0, NULL) > 0; step++)
		;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int asked = 0, ends[2];
	struct http http = {.answer = answer, .context = &asked};
	size_t first = size > 0 ? data[0] % size : 0;
	struct loop loop;
	char text[4096];
	ssize_t got;

	if (size > INPUT_MOST)
		return 0;
	fuzz_require(loop_open(&loop, NULL) == 0 &&
			     socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
					ends) == 0,
		     "there is a connection");
	http_open_closed(&http, &loop);
	http_serve(&http, ends[0]);
	(void)send(ends[1], data, first, MSG_NOSIGNAL);
	work(&loop);
	(void)send(ends[1], data + first, size - first, MSG_NOSIGNAL);
	work(&loop);
	got = recv(ends[1], text, sizeof text, 0);
	fuzz_require(got <= 0 || (got > 13 && memcmp(text, "HTTP/1.1 ", 9) == 0),
		     "it is an answer");
	fuzz_require(asked <= 1 && (asked == 0 || got > 0), "one request, one answer");
	http_close(&http);
	loop_close(&loop);
	close(ends[1]);
	return 0;
}
