/* SPDX-License-Identifier: Apache-2.0 */
/* Keepers, and how to talk to them; see keeper.h. */
#include "keeper.h"

#include "buffer.h"
#include "cleanup.h"
#include "clock.h"
#include "command.h"
#include "notify.h"
#include "orphan.h"

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
#include <time.h>
#include <unistd.h>

/* What a visitor says to a keeper: a single byte. */
enum { SAY_JOIN = 'j', SAY_EXTEND = 'e', VARIABLES_MAX = 1 << 16, PATIENCE_SECONDS = 2 };
/* The kernel makes names of five letters. */
enum { DOOR_SIZE = 16, WORDS_MAX = 512 };

/* ---- the door ---- */

/*
 * A socket without a file leaves nothing behind. The kernel chooses its name, so nobody can guess
 * the name and take it first. The name is one of the keeper's arguments, and a visitor finds the
 * keeper by the lease's descriptor.
 */
static socklen_t address_of(const char *name, struct sockaddr_un *address)
{
	size_t size = strlen(name);

	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (size == 0 || size >= DOOR_SIZE)
		return 0;
	memcpy(address->sun_path + 1, name, size);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + size);
}

static bool is_same_user(int fd)
{
	struct ucred other;
	socklen_t size = sizeof other;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &other, &size) < 0)
		return false;
	return other.uid == geteuid() || other.uid == 0;
}

/* An inheritable descriptor, or -1. */
static int keeper_listen(char name[static DOOR_SIZE])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t size = sizeof address;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t length;

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address.sun_family) < 0 ||
	    listen(fd, 8) < 0 || getsockname(fd, (struct sockaddr *)&address, &size) < 0 ||
	    size <= offsetof(struct sockaddr_un, sun_path) + 1 ||
	    (length = size - offsetof(struct sockaddr_un, sun_path) - 1) >= DOOR_SIZE) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	memcpy(name, address.sun_path + 1, length);
	name[length] = '\0';
	return fd;
}

/* ---- becoming one ---- */

/* Otherwise $(gpualloc hold ...) would wait for the keeper, and a folder could not be unmounted. */
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

int keeper_become(const char *title, int fd, int64_t for_ms, int notify, int tether,
		  char *const *environment)
{
	char lease[16], door[16], time[24], name[DOOR_SIZE] = "", tell[16], end[16];
	int listening = keeper_listen(name), reason;
	const char *words[] = {title, KEEPER_WORD, lease, door, time, name, tell, end, NULL};

	/* A terminal that closes does not end it; ignored signals stay ignored in the program it
	 * becomes. */
	(void)signal(SIGHUP, SIG_IGN);
	reason = leave_everything();
	if (!reason)
		reason = ga_orphan_hand_on();
	if (!reason && notify >= 0 && fcntl(notify, F_SETFD, 0) < 0)
		reason = errno;
	if (!reason && tether >= 0 && fcntl(tether, F_SETFD, 0) < 0)
		reason = errno;
	if (reason)
		return reason;
	(void)snprintf(end, sizeof end, "%d", tether);
	(void)snprintf(tell, sizeof tell, "%d", notify);
	(void)snprintf(lease, sizeof lease, "%d", fd);
	(void)snprintf(door, sizeof door, "%d", listening);
	(void)snprintf(time, sizeof time, "%lld", (long long)for_ms);
	/* execve() takes arguments that are not const, but does not change them. */
	(void)execve("/proc/self/exe", (char *const *)(void *)words, environment);
	return errno;
}

/* ---- being one ---- */

static bool is_for_programs(const char *entry)
{
	return strncmp(entry, "CUDA_", 5) == 0 || strncmp(entry, "NVIDIA_VISIBLE", 14) == 0 ||
	       strncmp(entry, "GPUALLOC_", 9) == 0;
}

/* Sends the lease's descriptor, and the environment of programs that run in the lease. */
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

/* Listing the leases sweeps those that have ended, so each end is logged when it comes. */
void keeper_let_go(int lease)
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

struct keeping {
	int lease;
	int64_t start, end; /* by ga_clock_awake_or_not_ms() */
	int notify;         /* -1: nobody is told */
};

/* Others see when the hold will end; if they cannot be told, it has its time all the same. */
static void announce_end(const struct keeping *keeping)
{
	int64_t left_ms = keeping->end - ga_clock_awake_or_not_ms();
	int64_t until = (int64_t)time(NULL) + (left_ms + 999) / 1000;
	const char *lease = getenv("GPUALLOC_LEASE");
	gpualloc_store *store = NULL;
	int result = gpualloc_store_open(NULL, 0, &store, NULL);

	if (result == 0)
		result = gpualloc_lease_announce_end(store, lease, until, NULL);
	gpualloc_store_free(store);
	store = NULL;
	if (result < 0 && gpualloc_store_open_own(&store, NULL) == 0 && store)
		(void)gpualloc_lease_announce_end(store, lease, until, NULL);
	gpualloc_store_free(store);
}

/* Gives more time, within max-hold as it is now, which counts from the start. */
static void extend(int to, struct keeping *keeping, int64_t more_ms)
{
	struct keeper_answer answer = {.most_ms = -1};
	int64_t end = keeping->end + more_ms;

	answer.status = gpualloc_max_hold(NULL, &answer.most_ms, NULL);
	if (answer.status == 0 && answer.most_ms >= 0 && end - keeping->start > answer.most_ms)
		answer.status = GPUALLOC_EIMPOSSIBLE;
	else if (answer.status == 0)
		keeping->end = end;
	if (keeping->end == end)
		notify_ends(keeping->notify, end);
	answer.held_ms = keeping->end - keeping->start;
	answer.left_ms = keeping->end - ga_clock_awake_or_not_ms();
	if (answer.status == 0)
		announce_end(keeping);
	(void)send(to, &answer, sizeof answer, MSG_NOSIGNAL);
}

/* A visitor gets a moment, no more. */
static void answer(int door, struct keeping *keeping)
{
	ga_auto_close int visitor = accept4(door, NULL, NULL, SOCK_CLOEXEC);
	struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
	int64_t more_ms;
	char word = 0;

	if (visitor < 0 || !is_same_user(visitor))
		return;
	(void)setsockopt(visitor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	(void)setsockopt(visitor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (recv(visitor, &word, 1, 0) != 1)
		return;
	if (word == SAY_JOIN)
		give(visitor, keeping->lease);
	if (word == SAY_EXTEND &&
	    recv(visitor, &more_ms, sizeof more_ms, MSG_WAITALL) == (ssize_t)sizeof more_ms &&
	    more_ms > 0 && more_ms <= KEEPER_MOST_MS)
		extend(visitor, keeping, more_ms);
}

/* Sleeps until there is a visitor; false when the hold is over. */
static bool await_visitor(int door, int tether, const struct keeping *keeping)
{
	struct pollfd polled[] = {{.fd = door, .events = POLLIN}, {.fd = tether, .events = POLLIN}};

	for (;;) {
		int64_t left = keeping->end - ga_clock_awake_or_not_ms();
		int ready;

		if (left <= 0)
			return false;
		/* At most an hour: poll() counts in an int, and does not count while the machine
		 * sleeps. */
		ready = poll(polled, 2, left < 3600000 ? (int)left : 3600000);
		/* Nobody says anything through the tether: it can be read when it is closed. */
		if (ready > 0 && polled[1].revents)
			return false;
		if (ready > 0)
			return true;
	}
}

int keeper_main(char *const *words)
{
	int door = atoi(words[1]), tether = atoi(words[5]);
	struct keeping keeping = {.lease = atoi(words[0]),
				  .start = ga_clock_awake_or_not_ms(),
				  .notify = atoi(words[4])};

	/* SIGPIPE may be ignored, and a hold that nobody was told about must not last. */
	if (!ga_orphan_say_runs())
		return 0;
	keeping.end = keeping.start + atoll(words[2]);
	if (keeping.notify >= 0)
		(void)fcntl(keeping.notify, F_SETFD, FD_CLOEXEC);
	notify_ends(keeping.notify, keeping.end);
	(void)prctl(PR_SET_NAME, "gpualloc-hold");
	(void)fcntl(door, F_SETFD, FD_CLOEXEC);
	if (tether >= 0)
		(void)fcntl(tether, F_SETFD, FD_CLOEXEC);
	while (await_visitor(door, tether, &keeping))
		answer(door, &keeping);
	keeper_let_go(keeping.lease);
	return 0;
}

/* ---- visiting one ---- */

/* Finds the name of its door among its arguments; false if it is not a keeper with a door. */
static bool read_door(int64_t pid, char name[static DOOR_SIZE])
{
	char path[40], words[WORDS_MAX + 1] = "";
	const char *at = words;
	ssize_t size = -1;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%lld/cmdline", (long long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		size = read(fd, words, WORDS_MAX);
		close(fd);
	}
	for (int word = 0; size > 0 && word < 5; word++) {
		at += strlen(at) + 1;
		if (at >= words + size || (word == 0 && strcmp(at, KEEPER_WORD) != 0))
			return false;
	}
	if (size <= 0 || !*at || strlen(at) >= DOOR_SIZE)
		return false;
	memcpy(name, at, strlen(at) + 1);
	return true;
}

/* The process that listens there must be the one that has the lease. */
static bool is_process(int fd, int64_t pid)
{
	struct ucred other;
	socklen_t size = sizeof other;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &other, &size) == 0 && other.pid == pid &&
	       (other.uid == geteuid() || geteuid() == 0);
}

static int visit_process(int64_t pid)
{
	char name[DOOR_SIZE];
	struct sockaddr_un address;
	socklen_t size = read_door(pid, name) ? address_of(name, &address) : 0;
	int fd = size > 0 ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;

	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, size) == 0 && is_process(fd, pid))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int visit(const gpualloc_store *store, const char *lease)
{
	gpualloc_holders *holders = NULL;
	int fd = -1;

	if (gpualloc_holders_read(store, lease, &holders, NULL) < 0)
		return -1;
	for (size_t i = 0; fd < 0 && i < gpualloc_holders_count(holders); i++)
		fd = visit_process(gpualloc_holder_pid(gpualloc_holders_holder(holders, i)));
	gpualloc_holders_free(holders);
	return fd;
}

/* Takes what give() sent. The bytes always end in two NULs. */
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

bool keeper_join(const gpualloc_store *store, const char *lease, int *ret_fd, char **ret_variables)
{
	ga_auto_close int keeper = visit(store, lease);
	ga_auto_free char *variables = calloc(1, VARIABLES_MAX + 2);
	const char word = SAY_JOIN;
	int fd;

	/* Root does not act on what a user's process says. */
	if (keeper < 0 || !variables || !is_same_user(keeper) ||
	    send(keeper, &word, 1, MSG_NOSIGNAL) != 1 || !take(keeper, variables, &fd))
		return false;
	*ret_fd = fd;
	*ret_variables = variables;
	variables = NULL;
	return true;
}

bool keeper_extend(const gpualloc_store *store, const char *lease, int64_t more_ms,
		   struct keeper_answer *ret_answer)
{
	ga_auto_close int keeper = visit(store, lease);
	char word[1 + sizeof more_ms] = {SAY_EXTEND};

	memcpy(word + 1, &more_ms, sizeof more_ms);
	return keeper >= 0 &&
	       send(keeper, word, sizeof word, MSG_NOSIGNAL) == (ssize_t)sizeof word &&
	       recv(keeper, ret_answer, sizeof *ret_answer, MSG_WAITALL) ==
		       (ssize_t)sizeof *ret_answer;
}
