/* SPDX-License-Identifier: Apache-2.0 */
/* Asking gpualloc-probe, in a process that has no rights of its own; see probe.h. */
#include "probe.h"

#include "ask.h"
#include "cleanup.h"
#include "clock.h"
#include "host.h"
#include "owner.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * The probe keeps the deadline of the driver's silence, and says each second that it waits. What it
 * may be silent for besides: to be started, and to end what hangs.
 */
enum { GRACE_MS = 3000, END_MS = 500 };

#define auto_worker ga_cleanup(ga_nvml_worker_free)

bool ga_nvml_is_fenced(const struct ga_source_request *request)
{
	return request->probe && !ga_is_root_outside() && ga_is_set_gid_of_root(request->probe);
}

bool ga_nvml_has_probe(const struct ga_source_request *request)
{
	return !request->nvml_library && ga_nvml_is_fenced(request) &&
	       faccessat(AT_FDCWD, request->probe, X_OK, AT_EACCESS) == 0;
}

/* In a child: the deadline becomes what can be read from standard input. */
static bool give_deadline(unsigned deadline_ms)
{
	unsigned most = GA_PROBE_DEADLINE_MOST_MS;
	int ends[2];
	bool given;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	given = dprintf(ends[1], "%u", deadline_ms < most ? deadline_ms : most) > 0 &&
		dup2(ends[0], STDIN_FILENO) == STDIN_FILENO;
	close(ends[0]);
	close(ends[1]);
	return given;
}

static int become_probe(void *context, int out)
{
	static char name[] = "gpualloc-probe";
	char *const arguments[] = {name, NULL}, *const no_environment[] = {NULL};
	const struct ga_source_request *request = context;

	(void)out;
	if (!give_deadline(request->deadline_ms))
		return 126;
	(void)execve(request->probe, arguments, no_environment);
	return errno == ENOENT ? 127 : 126;
}

static void pass_on(const struct ga_source_request *request, struct ga_nvml_worker *worker)
{
	if (request->waiting && *worker->waiting)
		request->waiting(request->waiting_context, worker->waiting);
	worker->waiting[0] = '\0';
}

/* Hears it until its last word, its end, or a silence that is too long: then it still asks. */
static int listen_to(const struct ga_source_request *request, struct ga_nvml_worker *worker)
{
	int64_t allowed = (int64_t)request->deadline_ms + GRACE_MS;
	bool told = false;
	int result = 0;

	while (result == 0 && worker->state == GA_NVML_ASKING) {
		struct pollfd fd = {.fd = worker->child.out, .events = POLLIN};
		int64_t left = allowed - ga_nvml_worker_silence(worker, ga_clock_ms());

		if (left <= 0)
			break;
		if (poll(&fd, 1, left < 1000 ? (int)left : 1000) > 0)
			result = ga_nvml_worker_hear(worker);
		told = told || *worker->waiting;
		pass_on(request, worker);
	}
	if (told && request->waiting)
		request->waiting(request->waiting_context, NULL);
	return result;
}

/* Why there is no answer, as the end of a sentence that begins with the probe's path. */
static void describe_end(const struct ga_nvml_worker *worker, char *text, size_t size)
{
	if (worker->status > 128)
		(void)snprintf(text, size, "was ended by signal %d (%s)", worker->status - 128,
			       strsignal(worker->status - 128));
	else if (worker->status == 126 || worker->status == 127)
		(void)snprintf(text, size, "could not be started");
	else if (worker->status >= 0)
		(void)snprintf(text, size, "ended without an answer (exit status %d)",
			       worker->status);
	else
		(void)snprintf(text, size, "said what makes no sense");
}

static int too_silent(const struct ga_source_request *request, gpualloc_error *error)
{
	return ga_error_remedy(
		error,
		ga_error_set(error, GPUALLOC_ENOSOURCE,
			     "NVML: %s, which asks the driver behind the administrator's fence, "
			     "did not answer within %g s",
			     request->probe, (double)(request->deadline_ms + GRACE_MS) / 1000.0),
		GPUALLOC_REMEDY_MORE_TIME);
}

/* Better some GPUs than none, as long as nobody takes them for all. */
static int ask_directly(const struct ga_source_request *request, const char *why,
			gpualloc_machine **ret_machine, gpualloc_error *error)
{
	int result = ga_nvml_ask(request, ret_machine, error);

	if (result < 0)
		return result == GPUALLOC_ENOMEM
			       ? result
			       : ga_error_prefix(error, result, "%s %s; ", request->probe, why);
	if (ga_machine_note(*ret_machine,
			    "%s %s: GPUs that this user may not open behind the administrator's "
			    "fence could not be asked",
			    request->probe, why) == 0)
		return 0;
	ga_machine_free_pointer(ret_machine);
	return ga_error_memory(error);
}

static int finish(const struct ga_source_request *request, const struct ga_nvml_worker *worker,
		  gpualloc_machine **ret_machine, gpualloc_error *error)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	gpualloc_error why = {0};
	int result;

	if (worker->state == GA_NVML_REFUSED) {
		if (ga_nvml_worker_status(worker) != GPUALLOC_EPERM)
			return ga_nvml_worker_error(worker, error);
		result = ga_nvml_worker_error(worker, &why);
		return result == GPUALLOC_ENOMEM
			       ? ga_error_memory(error)
			       : ask_directly(request, why.message, ret_machine, error);
	}
	result = ga_nvml_worker_machine(worker, worker->answer, &machine, &why);
	if (result == GPUALLOC_ENOMEM)
		return ga_error_memory(error);
	if (result < 0)
		return ask_directly(request, "said what makes no sense", ret_machine, error);
	if (ga_host_processes(request->root, machine) < 0)
		return ga_error_memory(error);
	*ret_machine = ga_steal(&machine);
	return 0;
}

int ga_nvml_ask_probe(const struct ga_source_request *request, gpualloc_machine **ret_machine,
		      gpualloc_error *error)
{
	auto_worker struct ga_nvml_worker worker = {0};
	/* The child only reads it. */
	struct ga_source_request asked = *request;
	char why[256];
	int result = ga_nvml_worker_start_with(&worker, "NVML", become_probe, &asked, error);

	if (result < 0)
		return result;
	if (listen_to(request, &worker) < 0)
		return ga_error_memory(error);
	if (worker.state == GA_NVML_ASKING)
		return too_silent(request, error);
	/* Nothing follows its last word. What it says of its end is known by now. */
	ga_nvml_worker_stop(&worker, ga_clock_ms() + END_MS);
	if (worker.state != GA_NVML_DEAD)
		return finish(request, &worker, ret_machine, error);
	describe_end(&worker, why, sizeof why);
	return ask_directly(request, why, ret_machine, error);
}
