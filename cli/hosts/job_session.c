/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session of a job: what ssh gave the terminal to. It stays the command's parent, so that the
 * tether hears of its end, and its status is the command's.
 */
#include "hosts/job.h"

#include "fence.h"
#include "leasing.h"
#include "message.h"
#include "owned.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATUS_UNAVAILABLE = 69, STATUS_DATA = 65 };

static int connect_to_tether(const char *token)
{
	struct sockaddr_un address;
	unsigned size;
	int fd, pid;

	if (!job_address(token, &address, &size))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, size) == 0 && job_is_own(fd, &pid))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* *ret_lease is the lease's descriptor, -1 if none came. */
static bool take_order(int fd, struct job_order *ret_order, int *ret_lease)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec part = {ret_order, sizeof *ret_order};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof control};
	struct cmsghdr *header;
	ssize_t got;

	do
		got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL);
	while (got < 0 && errno == EINTR);
	*ret_lease = -1;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(ret_lease, CMSG_DATA(header), sizeof(int));
	return got == (ssize_t)sizeof *ret_order && ret_order->has_lease == (*ret_lease >= 0);
}

/* If the tether dies, nobody is left who could end the command when the connection is lost: the
 * supervisor does it, SIGTERM and SIGKILL 10 s later. */
static void end_with_tether(int fd)
{
	(void)fcntl(fd, F_SETOWN, getpid());
	(void)fcntl(fd, F_SETSIG, SIGTERM);
	(void)fcntl(fd, F_SETFL, O_ASYNC);
}

static void tell(void *context, enum gpualloc_supervise_event event)
{
	(void)context;
	if (event == GPUALLOC_SUPERVISE_TIME_LIMIT)
		say("the time limit is up: asking the command to end; it is killed in 10s");
}

static int status_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run_command(const struct request *request, const struct job_order *order)
{
	auto_error gpualloc_error *error = gpualloc_error_new();
	ga_auto_free char *path = NULL;
	int status = 0, result = gpualloc_program_find(request->words[0], &path, error);

	if (result == 0)
		result = gpualloc_program_supervise(path, request->words, environ, order->limit_ms,
						    tell, NULL, &status, error);
	return result < 0 ? fail_error(result, error) : status_of(status);
}

static int go_behind_fence(const struct call *remote, const struct job_order *order)
{
	struct call call = *remote;

	call.value[OPTION_QUIET] = order->quiet ? "" : NULL;
	return fence_to_environment(&call);
}

static int carry_out(const struct call *call, const struct request *request,
		     const struct job_order *order, int lease)
{
	int result = job_move_in(request);

	for (size_t i = 0; result == 0 && i < request->variable_count; i++)
		if (putenv(request->variables[i]) != 0)
			result = fail_memory();
	if (result == 0 && lease >= 0)
		result = leasing_hand_on(lease);
	if (result == 0 && order->fenced)
		result = go_behind_fence(call, order);
	return result ? result : run_command(request, order);
}

int job_session(const struct call *call, const char *token)
{
	static const struct call none = {0};
	ga_auto_close int fd = connect_to_tether(token);
	struct request request = {0};
	struct job_order order = {0};
	const char *wrong;
	int lease, status;

	if (fd < 0 || !take_order(fd, &order, &lease))
		return fail(STATUS_UNAVAILABLE, "nobody here waits for this session; `gpualloc run "
						"--on HOST` starts one");
	if (order.json)
		message_in_json(&none, NULL, STDERR_FILENO);
	wrong = request_read_from(fd, &request);
	if (wrong)
		return fail(STATUS_DATA, "%s", wrong);
	end_with_tether(fd);
	status = carry_out(call, &request, &order, lease);
	(void)send(fd, &status, sizeof status, MSG_NOSIGNAL);
	request_free(&request);
	return status;
}
