/* SPDX-License-Identifier: Apache-2.0 */
/*
 * getgpu: prints a free MIG instance (or GPU, if there are no instances), for
 * CUDA_VISIBLE_DEVICES=$(getgpu) PROGRAM, and leaves a keeper process that holds it until the
 * program has started and ended. getgpu N prints the N-th and holds nothing.
 */
#include "common.h"
#include "duration.h"
#include "orphan.h"
#include "owner.h"
#include "text.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEEPER_WORD "--keep"

enum { UUID_SIZE = 256, HOLD_MS = 30000, HOLD_MOST_MS = 24 * 60 * 60 * 1000 };

/* What the future keeper tells its caller. */
struct answer {
	int status;
	pid_t pid;
	char uuid[UUID_SIZE];
};

/* ---- getgpu N ---- */

static int print_uuid(const struct one_device *one, const char *uuid)
{
	if (printf("%s\n", uuid) < 0 || fflush(stdout) != 0)
		return fail(one, STATUS_OUTPUT, "cannot write to stdout: %s", strerror(errno));
	return 0;
}

static int print_numbered(struct one_device *one, const char *word)
{
	const gpualloc_device *device;
	int64_t number;
	int result;

	if (!ga_text_number(word, strlen(word), 999999, &number))
		return fail(one, STATUS_USAGE,
			    "\"%s\" is not a number; getgpu --help explains what it takes", word);
	result = look(one);
	if (result)
		return result;
	device = device_at(one, (size_t)number);
	if (!device)
		return fail(one, STATUS_IMPOSSIBLE, "there is no %s %s on this machine",
			    one->has_mig ? "MIG instance" : "GPU", word);
	if (!is_allowed(one, device))
		return fail(one, STATUS_PERMISSION, "%s is not in the list of allowed GPUs", word);
	if (!gpualloc_device_uuid(device))
		return fail(one, STATUS_IMPOSSIBLE, "the UUID of %s is not known", word);
	return print_uuid(one, gpualloc_device_uuid(device));
}

/* ---- the keeper ---- */

/* Anything that is not a duration means the default. */
static int64_t hold_ms(void)
{
	const char *word = getenv("GPUALLOC_HOLD");
	int64_t ms;

	return word && ga_duration_parse(word, HOLD_MOST_MS, &ms, NULL) == 0 ? ms : HOLD_MS;
}

/* It executes itself again to be small and to have a name that says what it is. */
static int become_keeper(const char *uuid, int fd)
{
	char title[UUID_SIZE + 32], time[24], name[] = KEEPER_WORD, id[UUID_SIZE];
	char *words[] = {title, name, time, id, NULL};
	char *nothing_more[] = {NULL};
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)fd; /* only needs to be inherited */
	(void)snprintf(title, sizeof title, "getgpu-hold");
	(void)snprintf(time, sizeof time, "%lld", (long long)hold_ms());
	(void)snprintf(id, sizeof id, "%s", uuid);
	if (nothing < 0 || setsid() < 0 || chdir("/") < 0)
		return errno;
	for (int i = 0; i <= 2; i++)
		if (dup2(nothing, i) < 0)
			return errno;
	if (ga_orphan_hand_on() != 0)
		return errno;
	(void)execve("/proc/self/exe", words, nothing_more);
	return errno;
}

static int keep(struct one_device *one, struct answer *answer)
{
	const char *uuid;
	int fd, result = look(one);

	if (result == 0)
		result = lease_one(one, "random", "getgpu");
	if (result)
		return result;
	/* The machine was read before the claim; somebody may have got in between. */
	result = gpualloc_lease_settle(one->lease, NULL, 0, one->error);
	if (result < 0)
		return fail_error(one, result);
	uuid = gpualloc_device_uuid(gpualloc_lease_device(one->lease, 0));
	(void)snprintf(answer->uuid, sizeof answer->uuid, "%s", uuid);
	result = gpualloc_lease_hand_on(one->lease, &fd, one->error);
	if (result < 0)
		return fail_error(one, result);
	if (write(GA_ORPHAN_ANSWER, answer, sizeof *answer) != (ssize_t)sizeof *answer)
		return fail(one, STATUS_OUTPUT, "cannot start a keeper: %s", strerror(errno));
	return fail(one, STATUS_OUTPUT, "cannot start a keeper: %s",
		    strerror(become_keeper(answer->uuid, fd)));
}

/* The process that keeps the lease acquires it, so that it owns the lease. */
static int be_keeper(void *context, const gpualloc_error *trouble)
{
	struct one_device *one = context;
	struct answer answer = {.pid = getpid()};

	answer.status = trouble ? fail(one, gpualloc_exit_status(GPUALLOC_EIO), "%s",
				       gpualloc_error_message(trouble))
				: keep(one, &answer);
	(void)!write(GA_ORPHAN_ANSWER, &answer, sizeof answer);
	return answer.status;
}

/* ---- getgpu ---- */

static int no_word(const struct one_device *one)
{
	return fail(one, STATUS_OUTPUT,
		    "the keeper ended before it said which device it holds; try again");
}

static int take_answer(const struct one_device *one, int from)
{
	struct answer answer;
	ssize_t got;
	char words[2];
	bool is_keeper;
	int result;

	if (ga_orphan_read(from, &answer, sizeof answer) != (ssize_t)sizeof answer)
		return no_word(one);
	if (answer.status)
		return answer.status;
	/* If it became a keeper, it writes one word and closes the pipe; if not, it writes more. */
	got = ga_orphan_read(from, words, sizeof words);
	is_keeper = got == 1 && *words == GA_ORPHAN_RUNS &&
		    ga_orphan_read(from, words, sizeof words) == 0;
	answer.uuid[UUID_SIZE - 1] = '\0';
	result = is_keeper ? print_uuid(one, answer.uuid) : no_word(one);
	/* If nobody was told of the device, do not hold it. */
	if (result)
		(void)kill(answer.pid, SIGTERM);
	return result;
}

/* The probe's bit says that the fence stands. The keeper has the lease, and PROGRAM is not its
 * child; scripts are not told each time. */
static void warn_of_fence(const struct one_device *one)
{
	if (!ga_is_root_outside() && ga_is_set_gid_of_root(PROBE_PATH) && isatty(STDERR_FILENO))
		(void)fail(
			one, 0,
			"note: a fence stands around this machine's GPUs: what "
			"CUDA_VISIBLE_DEVICES=$(getgpu) starts has no lease of its own and cannot "
			"open the GPU; cudawrap and `gpualloc run` can");
}

static int get(struct one_device *one)
{
	gpualloc_error why = {0};
	int from, result = ga_orphan_start(be_keeper, one, &from, &why);

	if (result < 0)
		return fail(one, STATUS_OUTPUT, "cannot start a keeper: %s", why.message);
	result = take_answer(one, from);
	close(from);
	if (result == 0)
		warn_of_fence(one);
	return result;
}

static const char help[] =
	"usage: getgpu [N]\n"
	"\n"
	"Prints the UUID of a free MIG instance, or of a GPU where there are none:\n"
	"\n"
	"  CUDA_VISIBLE_DEVICES=$(getgpu) PROGRAM\n"
	"\n"
	"A process called getgpu-hold keeps it from others until PROGRAM has used it and\n"
	"ended, or for 30s if nothing uses it; GPUALLOC_HOLD=5m waits longer. If nothing\n"
	"is free, the exit status is 75 and nothing is printed.\n"
	"\n"
	"getgpu N prints the N-th, counting from 0, in use or not, and keeps nothing.\n"
	"If /usr/local/share/gpus/ids (or the file that GPUALLOC_IDS names) exists, only\n"
	"the UUIDs in it are given.\n"
	"\n"
	"In new scripts `gpualloc run PROGRAM` is better: it does not have to guess how\n"
	"long PROGRAM takes to start.\n";

int main(int argc, char **argv)
{
	struct one_device one = {.program = "getgpu"};
	int result;

	if (argc == 4 && strcmp(argv[1], KEEPER_WORD) == 0) {
		/* SIGPIPE may be ignored. If nobody was told of the device, it is not held. */
		if (ga_orphan_say_runs())
			watch_users(argv[3], atoll(argv[2]));
		return 0;
	}
	if (argc == 2 && asks_for_help(argv[1]))
		return print_help(&one, help);
	if (argc > 2)
		return fail(&one, STATUS_USAGE, "usage: getgpu [N]; getgpu --help explains it");
	result = argc == 2 ? print_numbered(&one, argv[1]) : get(&one);
	one_device_free(&one);
	return result;
}
