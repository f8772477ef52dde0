/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody says on a connection to the gRPC server: HTTP/2, its headers, messages in pieces.
 */
#include "fuzz.h"

#include "server.h"

#include <string.h>
#include <sys/socket.h>

enum { STEPS_MOST = 10000, INPUT_MOST = 1 << 16 };

struct seen {
	struct grpc_call *waiting;
	size_t called;
};

static void echo(void *context, struct grpc_call *call, const uint8_t *message, size_t size)
{
	struct seen *seen = context;

	fuzz_require(size <= GRPC_MESSAGE_MOST, "a message within the limit");
	seen->called++;
	grpc_call_reply(call, message, size);
}

/* Tells at once and goes on for ever; one at a time is enough. */
static void watch(void *context, struct grpc_call *call, const uint8_t *message, size_t size)
{
	struct seen *seen = context;
	struct grpc_shared *shared = grpc_shared_new(message, size);

	fuzz_require(shared != NULL, "there is memory");
	if (seen->waiting) {
		grpc_call_fail(call, GRPC_RESOURCE_EXHAUSTED, "one is enough");
	} else {
		seen->waiting = call;
		grpc_call_tell(call, shared);
	}
	grpc_shared_release(shared);
}

static void ended(void *context, struct grpc_call *call)
{
	struct seen *seen = context;

	fuzz_require(seen->waiting == call, "only what was not answered ends");
	seen->waiting = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct grpc_method methods[] = {
		{"/v1beta1.DevicePlugin/Allocate", echo, NULL},
		{"/v1beta1.DevicePlugin/ListAndWatch", watch, ended}};
	struct grpc_server *server = NULL;
	struct seen seen = {0};
	struct loop loop;
	int ends[2], room = INPUT_MOST * 4;

	if (size > INPUT_MOST)
		return 0;
	fuzz_require(loop_open(&loop, NULL) == 0 &&
			     grpc_server_open(&loop, NULL, methods, 2, &seen, &server, NULL) == 0 &&
			     socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
					ends) == 0 &&
			     setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0,
		     "there is a server");
	grpc_server_serve(server, ends[0]);
	(void)send(ends[1], data, size, MSG_NOSIGNAL);
	for (int step = 0; step < STEPS_MOST && loop_step(&loop, 0, NULL) > 0; step++)
		;
	grpc_server_close(server);
	fuzz_require(seen.waiting == NULL, "all calls end with the server");
	loop_close(&loop);
	close(ends[1]);
	return 0;
}
