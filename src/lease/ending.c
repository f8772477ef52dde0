/* SPDX-License-Identifier: Apache-2.0 */
/* Ending the processes that have a lease; see ending.h. */
#include "ending.h"

#include "clock.h"
#include "ending_kind.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How long to wait between two looks, and for the kernel to finish what was killed. */
enum { LOOK_MS = 500, KILLED_MS = 5000 };

static void end_free(struct gpualloc_holder *end)
{
	if (end->process >= 0)
		close(end->process);
	free(end->command);
}

static void list_free(struct gpualloc_holder *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		end_free(&list[i]);
	free(list);
}

void ga_ending_free(gpualloc_holders *holders)
{
	if (!holders)
		return;
	list_free(holders->list, holders->count);
	ga_store_close(&holders->store);
	free(holders);
}

/* ---- who it is ---- */

static bool has_ended(const struct gpualloc_holder *end)
{
	struct pollfd poll_one = {.fd = end->process, .events = POLLIN};

	return poll(&poll_one, 1, 0) > 0;
}

static struct gpualloc_holder *find_end(const gpualloc_holders *holders, pid_t pid)
{
	for (size_t i = 0; i < holders->count; i++)
		if (holders->list[i].pid == pid)
			return &holders->list[i];
	return NULL;
}

static bool is_among(const struct ga_holders *found, pid_t pid)
{
	for (size_t i = 0; i < found->count; i++)
		if (found->list[i].pid == pid)
			return true;
	return false;
}

/* 1; 0 if it has gone; GPUALLOC_ENOMEM; or GPUALLOC_EPERM where pidfds do not work. */
static int describe(pid_t pid, int64_t user, struct gpualloc_holder *ret_end, gpualloc_error *error)
{
	struct gpualloc_holder end = {.pid = pid, .process = (int)syscall(SYS_pidfd_open, pid, 0)};

	if (end.process < 0)
		return errno == ESRCH || errno == EINVAL
			       ? 0
			       : ga_error_errno(
					 error, GPUALLOC_EPERM, errno,
					 "process %d has the lease, and it cannot be ended from here without the "
					 "risk of ending another one instead",
					 (int)pid);
	if (ga_ending_describe(&end, user) < 0) {
		end_free(&end);
		return ga_error_memory(error);
	}
	*ret_end = end;
	return 1;
}

/*
 * Adds those of found that are not on the list. First the pidfd, then the proof, by a second look:
 * a process that both looks show and that is still alive was the same one all the time.
 */
static int add_found(gpualloc_holders *holders, const struct ga_holders *found,
		     gpualloc_error *error)
{
	for (size_t i = 0; i < found->count; i++) {
		struct gpualloc_holder *known = find_end(holders, found->list[i].pid), *list;
		int result;

		if (known && !has_ended(known))
			continue;
		list = reallocarray(holders->list, holders->count + 1, sizeof *list);
		if (!list)
			return ga_error_memory(error);
		holders->list = list;
		result = describe(found->list[i].pid, holders->user, &list[holders->count], error);
		if (result < 0)
			return result;
		holders->count += (size_t)result;
	}
	return 0;
}

static void keep_proven(gpualloc_holders *holders, const struct ga_holders *found)
{
	size_t kept = 0;

	for (size_t i = 0; i < holders->count; i++) {
		struct gpualloc_holder *end = &holders->list[i];

		if (!is_among(found, end->pid) || has_ended(end))
			end_free(end);
		else
			holders->list[kept++] = *end;
	}
	holders->count = kept;
}

static int look(gpualloc_holders *holders, gpualloc_error *error)
{
	for (int i = 0; i < 2; i++) {
		ga_auto_holders struct ga_holders found = {0};
		int result = ga_holders_find(&holders->store, holders->id, &found, error);

		if (result == 0 && holders->user < 0)
			holders->user = ga_ending_user(&found);
		if (result == 0 && i == 0)
			result = add_found(holders, &found, error);
		if (result < 0)
			return result;
		holders->unseen = found.unseen;
		if (i == 1)
			keep_proven(holders, &found);
	}
	return 0;
}

static int read_user(gpualloc_holders *holders, gpualloc_error *error)
{
	ga_auto_record struct ga_record record = {0};
	int result = ga_record_read(&holders->store, holders->number, &record);

	holders->user = result > 0 ? (int64_t)record.uid : GA_UNKNOWN;
	return result < 0 ? ga_error_memory(error) : 0;
}

int ga_ending_read(const struct ga_store *store, const char *id, gpualloc_holders **ret_holders,
		   gpualloc_error *error)
{
	gpualloc_holders *holders = calloc(1, sizeof *holders);
	int result;

	if (!holders)
		return ga_error_memory(error);
	holders->store = GA_STORE_CLOSED;
	result = ga_store_copy(store, &holders->store, error);
	if (result == 0 && !ga_id_parse(id, &holders->number))
		result = ga_error_remedy(
			error,
			ga_error_set(error, GPUALLOC_EPERM, "no lease is called \"%.40s\"", id),
			GPUALLOC_REMEDY_SHOW_LEASES);
	if (result == 0) {
		ga_id_text(holders->number, holders->id);
		result = read_user(holders, error);
	}
	if (result == 0)
		result = look(holders, error);
	if (result == 0)
		result = ga_ending_add_without(holders, error);
	if (result < 0)
		ga_ending_free(holders);
	else
		*ret_holders = holders;
	return result;
}

/* ---- ending ---- */

static bool is_held(const gpualloc_holders *holders)
{
	struct ga_range part;

	return ga_ledger_is_held(holders->store.probe, ga_ledger_id(holders->number), &part) != 0;
}

static bool is_to_end(const struct gpualloc_holder *end, bool only_keepers)
{
	if (end->kind == GPUALLOC_HOLDER_OURS || end->kind == GPUALLOC_HOLDER_WITHOUT ||
	    end->kind == GPUALLOC_HOLDER_OTHERS)
		return false;
	return !only_keepers || end->kind == GPUALLOC_HOLDER_KEEPER;
}

static void send(const struct gpualloc_holder *end, int signal)
{
	(void)syscall(SYS_pidfd_send_signal, end->process, signal, NULL, 0);
}

/*
 * Sends each signal once to each. A stopped process must continue before it can end. Returns how
 * many there are.
 */
static size_t signal_all(gpualloc_holders *holders, bool only_keepers, int signal)
{
	size_t count = 0;

	for (size_t i = 0; i < holders->count; i++) {
		struct gpualloc_holder *end = &holders->list[i];

		if (!is_to_end(end, only_keepers))
			continue;
		count++;
		if (end->sent == signal)
			continue;
		send(end, signal);
		if (signal == SIGTERM)
			send(end, SIGCONT);
		end->sent = signal;
	}
	return count;
}

/* Until one of them has ended, or briefly: others may have come, or may have closed it. */
static void wait_a_little(const gpualloc_holders *holders, bool only_keepers, int64_t until)
{
	ga_auto_free struct pollfd *polls = calloc(holders->count + 1, sizeof *polls);
	int64_t left = until - ga_clock_ms();
	nfds_t count = 0;

	for (size_t i = 0; polls && i < holders->count; i++)
		if (is_to_end(&holders->list[i], only_keepers))
			polls[count++] =
				(struct pollfd){.fd = holders->list[i].process, .events = POLLIN};
	(void)poll(polls, count, left < 0 ? 0 : left < LOOK_MS ? (int)left : LOOK_MS);
}

/* A process that we may not see is not ours to end, and waiting would not change that. */
static int still_held(const gpualloc_holders *holders, gpualloc_error *error)
{
	for (size_t i = 0; i < holders->count; i++) {
		const struct gpualloc_holder *end = &holders->list[i];

		if (end->kind == GPUALLOC_HOLDER_OURS)
			return ga_error_set(
				error, GPUALLOC_EBUSY,
				"lease %s is still held by process %d (%s), from which this "
				"command was started: the lease ends when that process does",
				holders->id, (int)end->pid, end->command ? end->command : "?");
		if (end->kind == GPUALLOC_HOLDER_OTHERS)
			return ga_error_set(
				error, GPUALLOC_EBUSY,
				"lease %s is still held by process %d (%s), which is not of the "
				"lease's user: somebody may have handed it the descriptor, and only "
				"kill ends it",
				holders->id, (int)end->pid, end->command ? end->command : "?");
		if (end->kind != GPUALLOC_HOLDER_WITHOUT)
			return ga_error_set(error, GPUALLOC_EBUSY,
					    "lease %s is still held by process %d (%s), which "
					    "has not ended",
					    holders->id, (int)end->pid,
					    end->command ? end->command : "?");
	}
	if (holders->unseen > 0)
		return ga_error_set(
			error, GPUALLOC_EBUSY,
			"lease %s is still held, and by no process of its user: processes of other "
			"users may have it that were not looked at (%zu), because together they "
			"have too many files open; only kill ends those",
			holders->id, holders->unseen);
	return ga_error_set(error, GPUALLOC_EPERM,
			    "lease %s is still held, by processes that cannot be seen from here; "
			    "root can end it",
			    holders->id);
}

int ga_ending_end(gpualloc_holders *holders, bool only_keepers, int64_t grace_ms,
		  gpualloc_error *error)
{
	int64_t until = ga_clock_ms() + grace_ms;
	int signal = SIGTERM, result;

	for (;;) {
		size_t count = signal_all(holders, only_keepers, signal);

		if (count > 0)
			wait_a_little(holders, only_keepers, until);
		if (!is_held(holders))
			return 0;
		result = look(holders, error);
		if (result == GPUALLOC_EPERM && !is_held(holders))
			return 0;
		if (result < 0)
			return result;
		if (count == 0 && signal_all(holders, only_keepers, signal) == 0)
			break;
		if (ga_clock_ms() < until)
			continue;
		if (signal == SIGKILL)
			break;
		signal = SIGKILL;
		until = ga_clock_ms() + KILLED_MS;
	}
	return only_keepers || !is_held(holders) ? 0 : still_held(holders, error);
}
