/* SPDX-License-Identifier: Apache-2.0 */
/* Keepers, and talking to them; see keeper.h. */
#include "keeper.h"

#include "buffer.h"
#include "cleanup.h"
#include "clock.h"
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

extern char **environ;

/* What one says to a keeper: a single byte. */
enum { SAY_JOIN = 'j', SAY_RELEASE = 'r', VARIABLES_MAX = 1 << 16, PATIENCE_SECONDS = 2 };

/* ---- the door ---- */

/* No file, so nothing to leave behind. Anybody could take the name: both sides ask who the other
 * is. */
static socklen_t address_of(const char *lease, uid_t user, struct sockaddr_un *address)
{
	int length;

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	length = snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "gpualloc/%u/%s",
			  (unsigned)user, lease);
	if (length < 0 || (size_t)length >= sizeof address->sun_path - 1)
		return 0;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

static bool is_same_user(int fd)
{
	struct ucred other;
	socklen_t size = sizeof other;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &other, &size) < 0)
		return false;
	return other.uid == geteuid() || other.uid == 0;
}

int keeper_listen(const char *lease)
{
	struct sockaddr_un address;
	socklen_t size = address_of(lease, geteuid(), &address);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd >= 0 && size > 0 && bind(fd, (struct sockaddr *)&address, size) == 0 &&
	    listen(fd, 8) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* ---- becoming one ---- */

/* Else $(gpualloc hold ...) would wait for the keeper, and a folder could not be unmounted. */
static int leave_everything(void)
{
	int nothing;

	if (setsid() < 0 || chdir("/") < 0)
		return errno;
	nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (nothing < 0)
		return errno;
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(nothing, fd) < 0)
			return errno;
	return 0;
}

int keeper_become(const char *title, int fd, int64_t for_ms, char *const *environment)
{
	char lease[16], door[16], time[24];
	int listening = -1, reason;
	const char *words[] = {title, KEEPER_WORD, lease, door, time, NULL};

	for (char *const *at = environment; *at; at++)
		if (strncmp(*at, "GPUALLOC_LEASE=", 15) == 0)
			listening = keeper_listen(*at + 15);
	/* No terminal's end is its end; what is ignored stays so in the program it becomes. */
	(void)signal(SIGHUP, SIG_IGN);
	reason = leave_everything();
	if (reason)
		return reason;
	(void)snprintf(lease, sizeof lease, "%d", fd);
	(void)snprintf(door, sizeof door, "%d", listening);
	(void)snprintf(time, sizeof time, "%lld", (long long)for_ms);
	/* execve() takes its words without const and does not change them. */
	(void)execve("/proc/self/exe", (char *const *)(void *)words, environment);
	return errno;
}

/* ---- being one ---- */

static bool is_for_programs(const char *entry)
{
	return strncmp(entry, "CUDA_", 5) == 0 || strncmp(entry, "NVIDIA_VISIBLE", 14) == 0 ||
	       strncmp(entry, "GPUALLOC_", 9) == 0;
}

/* The lease's descriptor, and with it what programs in it find in their environment. */
static void give(int to, int lease)
{
	ga_auto_buffer struct ga_buffer variables = GA_BUFFER_OUTPUT;
	union {
		struct cmsghdr header; /* for its alignment */
		char bytes[CMSG_SPACE(sizeof lease)];
	} control = {0};
	struct iovec data;
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof control.bytes};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	for (char *const *entry = environ; *entry; entry++)
		if (is_for_programs(*entry))
			ga_buffer_append(&variables, *entry, strlen(*entry) + 1);
	if (variables.failed || variables.size == 0 || variables.size >= VARIABLES_MAX)
		return;
	data = (struct iovec){variables.data, variables.size};
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof lease);
	memcpy(CMSG_DATA(header), &lease, sizeof lease);
	(void)sendmsg(to, &message, MSG_NOSIGNAL);
}

/* Looking at the leases sweeps what has ended, and so its end is in the log when it comes. */
static void let_go(int lease)
{
	gpualloc_store *store;
	gpualloc_leases *leases;

	close(lease);
	if (gpualloc_store_open(NULL, 0, &store, NULL) < 0)
		return;
	if (gpualloc_leases_read(store, &leases, NULL) == 0)
		gpualloc_leases_free(leases);
	gpualloc_store_free(store);
}

/* False when the keeper is to end. Whoever comes has a moment, no longer. */
static bool answer(int door, int lease)
{
	ga_auto_close int visitor = accept4(door, NULL, NULL, SOCK_CLOEXEC);
	struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
	char word = 0;

	if (visitor < 0 || !is_same_user(visitor))
		return true;
	(void)setsockopt(visitor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	(void)setsockopt(visitor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (recv(visitor, &word, 1, 0) != 1)
		return true;
	if (word == SAY_JOIN)
		give(visitor, lease);
	if (word != SAY_RELEASE)
		return true;
	/* The visitor sees the end of the connection when the lease is let go. */
	let_go(lease);
	return false;
}

int keeper_main(char *const *words)
{
	int lease = atoi(words[0]), door = atoi(words[1]);
	int64_t end = ga_clock_awake_or_not_ms() + atoll(words[2]);

	(void)prctl(PR_SET_NAME, "gpualloc-hold");
	(void)fcntl(door, F_SETFD, FD_CLOEXEC);
	for (;;) {
		struct pollfd poll_door = {.fd = door, .events = POLLIN};
		int64_t left = end - ga_clock_awake_or_not_ms();
		int found;

		if (left <= 0) {
			let_go(lease);
			return 0;
		}
		/* An hour at most: poll() counts in an int, and not while the machine sleeps. */
		found = poll(&poll_door, 1, left < 3600000 ? (int)left : 3600000);
		if (found > 0 && !answer(door, lease))
			return 0;
	}
}

/* ---- visiting one ---- */

static int visit(const char *lease, char word)
{
	struct sockaddr_un address;
	socklen_t size = address_of(lease, geteuid(), &address);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && size > 0 && connect(fd, (struct sockaddr *)&address, size) == 0 &&
	    is_same_user(fd) && send(fd, &word, 1, MSG_NOSIGNAL) == 1)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Takes what give() sent. The bytes end in two NULs whatever came. */
static bool take(int from, char *variables, int *ret_fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof *ret_fd)];
	} control = {0};
	struct iovec data = {variables, VARIABLES_MAX};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof control.bytes};
	ssize_t size = recvmsg(from, &message, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *header = size > 0 ? CMSG_FIRSTHDR(&message) : NULL;

	if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
	    header->cmsg_len != CMSG_LEN(sizeof *ret_fd))
		return false;
	memcpy(ret_fd, CMSG_DATA(header), sizeof *ret_fd);
	return true;
}

bool keeper_join(const char *lease, int *ret_fd, char **ret_variables)
{
	ga_auto_close int keeper = visit(lease, SAY_JOIN);
	ga_auto_free char *variables = calloc(1, VARIABLES_MAX + 2);
	int fd;

	if (keeper < 0 || !variables || !take(keeper, variables, &fd))
		return false;
	*ret_fd = fd;
	*ret_variables = variables;
	variables = NULL;
	return true;
}

bool keeper_release(const char *lease)
{
	ga_auto_close int keeper = visit(lease, SAY_RELEASE);
	char nothing;

	return keeper >= 0 && recv(keeper, &nothing, 1, 0) == 0;
}
