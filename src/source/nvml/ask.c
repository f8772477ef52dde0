/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which child asks when, and which answer counts; see ask.h. The deadline is for silence: a driver
 * that needs seconds for each GPU, as without persistence mode, gets them. Below, "whole" is the
 * child that asks for all GPUs, and "relief" the one that asks again without the sick ones.
 */
#include "ask.h"

#include "cleanup.h"
#include "clock.h"
#include "text.h"
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PROBES_MAX = 256,      /* on a larger machine sick GPUs are found one after the other */
	SLOW_MS = 1000,        /* from then on the caller is told why it waits */
	SHUTDOWN_MS = 500,     /* for a library to end once everything has been reported */
	LEAST_TOTAL_MS = 5000, /* per GPU, in addition to four times the deadline */
};

/* What is known about a GPU besides the machine. */
struct suspect {
	bool bad;
	int status; /* as from ga_child_stop() if it ended the library; -1 if it fell silent */
	char doing[GA_NVML_DOING_SIZE];
};

struct asking {
	const struct ga_source_request *request;
	int64_t started_ms, told_ms;
	struct ga_nvml_worker whole, relief;
	struct ga_nvml_worker *probes; /* count of them; NULL before they are needed */
	struct suspect *suspects;
	struct ga_nvml_skipped *skipped; /* by the relief */
	size_t count;
	bool probing;
};

static void asking_clear(struct asking *asking)
{
	ga_nvml_worker_free(&asking->whole);
	ga_nvml_worker_free(&asking->relief);
	for (size_t i = 0; asking->probes && i < asking->count; i++)
		ga_child_kill(&asking->probes[i].child);
	for (size_t i = 0; asking->probes && i < asking->count; i++)
		ga_nvml_worker_free(&asking->probes[i]);
	free(asking->probes);
	free(asking->suspects);
	free(asking->skipped);
}
#define auto_asking ga_cleanup(asking_clear)

/* ---- how long ---- */

static int64_t patience(const struct asking *asking)
{
	return asking->request->deadline_ms;
}

/* Before a GPU is taken to hang, it is asked side by side with the others. */
static int64_t doubt(const struct asking *asking)
{
	return patience(asking) / 4;
}

/* How long to wait for a driver that keeps talking, whatever it says. */
static int64_t total(const struct asking *asking)
{
	return 4 * patience(asking) + LEAST_TOTAL_MS * (int64_t)asking->count;
}

static int64_t silence_allowed(const struct asking *asking, const struct ga_nvml_worker *worker)
{
	return worker->count < 0 ? ga_source_start_patience(asking->request->deadline_ms)
				 : patience(asking);
}

/* ---- failing ---- */

static int whole_is_silent(const struct asking *asking, gpualloc_error *error)
{
	bool starts = asking->whole.count < 0;
	int64_t allowed = silence_allowed(asking, &asking->whole);

	return ga_error_remedy(
		error,
		ga_error_set(
			error, GPUALLOC_ENOSOURCE,
			"NVML: did not answer within %g s%s: without persistence mode a driver may "
			"need seconds for each GPU (`nvidia-smi -pm 1`, or nvidia-persistenced); "
			"otherwise it hangs, and the kernel's log (dmesg) says why",
			(double)allowed / 1000.0, starts ? " when asked to start" : ""),
		GPUALLOC_REMEDY_MORE_TIME);
}

static int whole_is_dead(const struct asking *asking, gpualloc_error *error)
{
	int status = asking->whole.status;

	if (status > 128)
		return ga_error_set(error, GPUALLOC_ENOSOURCE,
				    "NVML: the driver's library crashed (signal %d, %s); the "
				    "library and the kernel module may not match",
				    status - 128, strsignal(status - 128));
	if (status < 0)
		return ga_error_set(error, GPUALLOC_ENOSOURCE,
				    "NVML: the query said what makes no sense");
	return ga_error_set(error, GPUALLOC_ENOSOURCE,
			    "NVML: the query ended without an answer (exit status %d)", status);
}

static int too_long(const struct asking *asking, gpualloc_error *error)
{
	return ga_error_set(error, GPUALLOC_ENOSOURCE,
			    "NVML: not finished after %lld s, when asked for %s; without "
			    "persistence mode each GPU takes seconds: `nvidia-smi -pm 1`, or "
			    "nvidia-persistenced",
			    (long long)(total(asking) / 1000), asking->whole.doing);
}

/* ---- suspects ---- */

static int make_room(struct asking *asking)
{
	if (asking->suspects)
		return 0;
	asking->count = (size_t)asking->whole.count;
	asking->suspects = calloc(asking->count + 1, sizeof *asking->suspects);
	asking->skipped = calloc(asking->count + 1, sizeof *asking->skipped);
	return asking->suspects && asking->skipped ? 0 : GPUALLOC_ENOMEM;
}

/* Marks the GPU at which a worker fell silent or died as one that cannot be asked; false if the
 * worker was at none. */
static bool suspect(struct asking *asking, const struct ga_nvml_worker *worker)
{
	struct suspect *suspect;

	if (worker->index < 0 || (size_t)worker->index >= asking->count)
		return false;
	suspect = &asking->suspects[worker->index];
	if (suspect->bad)
		return true;
	suspect->bad = true;
	suspect->status = worker->status;
	memcpy(suspect->doing, worker->doing, sizeof suspect->doing);
	return true;
}

static int start_probes(struct asking *asking, gpualloc_error *error)
{
	int result = 0;

	asking->probing = true;
	if (asking->count > PROBES_MAX)
		return 0;
	asking->probes = calloc(asking->count + 1, sizeof *asking->probes);
	if (!asking->probes)
		return ga_error_memory(error);
	for (size_t i = 0; result == 0 && i < asking->count; i++) {
		struct ga_nvml_question question = {.request = asking->request, .only = (int64_t)i};

		result = ga_nvml_worker_start(&asking->probes[i], &question, error);
		asking->probes[i].index = (int64_t)i;
		/* For a GPU that we already wait for, the time counts from when that began. */
		if (asking->whole.state == GA_NVML_ASKING && asking->whole.index == (int64_t)i)
			asking->probes[i].heard_ms = asking->whole.heard_ms;
	}
	return result;
}

/* A probe that cannot even count the GPUs still counts as stuck at its own. */
static void judge_probe(struct asking *asking, size_t i, int64_t now)
{
	struct ga_nvml_worker *probe = &asking->probes[i];
	int64_t allowed = patience(asking);

	if (asking->whole.longest_ms * 2 > allowed)
		allowed = asking->whole.longest_ms * 2;
	if (probe->state == GA_NVML_ASKING && ga_nvml_worker_silence(probe, now) >= allowed)
		ga_nvml_worker_stop(probe, 0);
	if (probe->state != GA_NVML_DEAD && probe->state != GA_NVML_REFUSED)
		return;
	probe->index = (int64_t)i;
	(void)suspect(asking, probe);
}

static bool is_decided(const struct asking *asking, size_t i)
{
	return asking->suspects[i].bad || !asking->probes ||
	       asking->probes[i].state != GA_NVML_ASKING;
}

static bool all_decided(const struct asking *asking)
{
	for (size_t i = 0; i < asking->count; i++)
		if (!is_decided(asking, i))
			return false;
	return true;
}

/* Whether the undecided ones look as if they will never answer. */
static bool rest_is_quiet(const struct asking *asking, int64_t now)
{
	for (size_t i = 0; i < asking->count; i++)
		if (!is_decided(asking, i) &&
		    ga_nvml_worker_silence(&asking->probes[i], now) < doubt(asking))
			return false;
	return true;
}

/* ---- the relief ---- */

static bool relief_is_right(const struct asking *asking)
{
	for (size_t i = 0; i < asking->count; i++)
		if (asking->skipped[i].skip != (asking->suspects[i].bad || !is_decided(asking, i)))
			return false;
	return true;
}

/* The GPU's place, if a probe got far enough to learn it, for its neighbours' links. */
static int learn_place(const struct asking *asking, size_t i)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	const struct ga_nvml_worker *probe = asking->probes ? &asking->probes[i] : NULL;
	const char *pci;

	asking->skipped[i].pci[0] = '\0';
	if (!probe || probe->part.size == 0)
		return 0;
	if (ga_nvml_worker_machine(probe, probe->part, &machine, NULL) == GPUALLOC_ENOMEM)
		return GPUALLOC_ENOMEM;
	pci = machine && machine->device_count == 1 ? machine->devices[0].pci : NULL;
	if (pci)
		(void)snprintf(asking->skipped[i].pci, sizeof asking->skipped[i].pci, "%s", pci);
	return 0;
}

static int start_relief(struct asking *asking, gpualloc_error *error)
{
	struct ga_nvml_question question = {.request = asking->request,
					    .only = GA_UNKNOWN,
					    .skipped = asking->skipped,
					    .skipped_count = asking->count,
					    .no_version = asking->whole.question.no_version};

	ga_nvml_worker_free(&asking->relief);
	for (size_t i = 0; i < asking->count; i++) {
		asking->skipped[i].skip = asking->suspects[i].bad || !is_decided(asking, i);
		if (asking->skipped[i].skip && learn_place(asking, i) < 0)
			return ga_error_memory(error);
	}
	return ga_nvml_worker_start(&asking->relief, &question, error);
}

/* If no GPU is sick, the whole one is only slow. */
static bool any_skipped(const struct asking *asking)
{
	for (size_t i = 0; i < asking->count; i++)
		if (asking->suspects[i].bad || !is_decided(asking, i))
			return true;
	return false;
}

static int drive_relief(struct asking *asking, int64_t now, gpualloc_error *error)
{
	struct ga_nvml_worker *relief = &asking->relief;
	bool whole_speaks = asking->whole.state == GA_NVML_ASKING &&
			    ga_nvml_worker_silence(&asking->whole, now) < doubt(asking);

	if (relief->state == GA_NVML_ASKING &&
	    ga_nvml_worker_silence(relief, now) >= silence_allowed(asking, relief))
		ga_nvml_worker_stop(relief, 0);
	if (relief->state == GA_NVML_DEAD) {
		bool found = suspect(asking, relief);

		ga_nvml_worker_free(relief);
		if (!found)
			return ga_error_set(error, GPUALLOC_ENOSOURCE,
					    "NVML: answered once and then stopped; the kernel's "
					    "log (dmesg) may say why");
	}
	if (whole_speaks || !any_skipped(asking) || !rest_is_quiet(asking, now) ||
	    (relief->state != GA_NVML_IDLE && relief_is_right(asking)))
		return 0;
	return start_relief(asking, error);
}

/* ---- the answer ---- */

static int take_identity(struct gpualloc_device *device, gpualloc_machine *known)
{
	struct gpualloc_device *from = &known->devices[0];

	if (known->device_count != 1)
		return 0;
	device->minor = from->minor;
	device->uuid = device->uuid ? device->uuid : ga_steal(&from->uuid);
	device->name = device->name ? device->name : ga_steal(&from->name);
	device->serial = device->serial ? device->serial : ga_steal(&from->serial);
	device->pci = device->pci ? device->pci : ga_steal(&from->pci);
	return 0;
}

static void describe(const struct asking *asking, const struct suspect *suspect, char *text,
		     size_t size)
{
	const char *doing = *suspect->doing ? suspect->doing : "anything";

	if (suspect->status > 128)
		(void)snprintf(text, size,
			       "the driver's library crashed (signal %d, %s) when asked for %s",
			       suspect->status - 128, strsignal(suspect->status - 128), doing);
	else if (suspect->bad && suspect->status >= 0)
		(void)snprintf(text, size,
			       "the driver's library ended (status %d) when asked for %s",
			       suspect->status, doing);
	else
		(void)snprintf(text, size,
			       "NVML was silent for %g s when asked for %s; the kernel's log "
			       "(dmesg) may say why, and without persistence mode (`nvidia-smi -pm "
			       "1`, nvidia-persistenced) a GPU takes long to start",
			       (double)patience(asking) / 1000.0, doing);
}

static int tell_sick(const struct asking *asking, gpualloc_machine *machine)
{
	char reason[512];

	for (size_t i = 0; i < machine->device_count && i < asking->count; i++) {
		struct gpualloc_device *device = &machine->devices[i];
		const struct ga_nvml_worker *probe = asking->probes ? &asking->probes[i] : NULL;
		ga_auto_machine gpualloc_machine *known = NULL;

		if (!asking->skipped[i].skip)
			continue;
		device->health = GPUALLOC_HEALTH_UNRESPONSIVE;
		describe(asking, &asking->suspects[i], reason, sizeof reason);
		if (ga_set_text(&device->reason, reason) < 0)
			return GPUALLOC_ENOMEM;
		if (!probe || probe->part.size == 0)
			continue;
		if (ga_nvml_worker_machine(probe, probe->part, &known, NULL) == GPUALLOC_ENOMEM ||
		    (known && take_identity(device, known) < 0))
			return GPUALLOC_ENOMEM;
	}
	return 0;
}

static int finish(struct asking *asking, struct ga_nvml_worker *worker,
		  gpualloc_machine **ret_machine, gpualloc_error *error)
{
	ga_auto_machine gpualloc_machine *machine = NULL;
	int result;

	if (worker->state == GA_NVML_REFUSED)
		return ga_nvml_worker_error(worker, error);
	result = ga_nvml_worker_machine(worker, worker->answer, &machine, error);
	if (result < 0)
		return result;
	/* Several answers together may report one UUID twice. */
	if (worker == &asking->relief &&
	    (tell_sick(asking, machine) < 0 || ga_nvml_part_twins(machine) < 0))
		return ga_error_memory(error);
	if (asking->whole.question.no_version &&
	    ga_machine_note(machine, "NVML: the driver did not answer when asked for its version; "
				     "its GPUs did") < 0)
		return ga_error_memory(error);
	/* The assembled machine is checked once more. */
	result = ga_machine_finish(machine, error);
	if (result < 0)
		return ga_error_prefix(error, GPUALLOC_ENOSOURCE,
				       "NVML: its answer cannot be used: ");
	*ret_machine = ga_steal(&machine);
	return 0;
}

/* ---- the driver's version ---- */

/* Whether the whole child was lost to a question that the machine can do without. */
static bool was_lost_to_version(const struct asking *asking)
{
	const struct ga_nvml_worker *whole = &asking->whole;

	return !whole->question.no_version && whole->index < 0 &&
	       strcmp(whole->doing, GA_NVML_ASKS_VERSION) == 0;
}

static int start_without_version(struct asking *asking, gpualloc_error *error)
{
	struct ga_nvml_question question = {
		.request = asking->request, .only = GA_UNKNOWN, .no_version = true};

	ga_nvml_worker_free(&asking->whole);
	return ga_nvml_worker_start(&asking->whole, &question, error);
}

/* ---- one round ---- */

/* The whole child has fallen silent for good, or died. *ret_over says whether the query ends with
 * it. */
static int judge_whole(struct asking *asking, int64_t now, bool *ret_over, gpualloc_error *error)
{
	struct ga_nvml_worker *whole = &asking->whole;
	bool silent = whole->state == GA_NVML_ASKING &&
		      ga_nvml_worker_silence(whole, now) >= silence_allowed(asking, whole);
	bool doubtful = whole->state == GA_NVML_ASKING && whole->index >= 0 &&
			ga_nvml_worker_silence(whole, now) >= doubt(asking);

	*ret_over = false;
	if (silent)
		ga_nvml_worker_stop(whole, 0);
	if (whole->state == GA_NVML_ASKING && !doubtful)
		return 0;
	*ret_over = true;
	if (whole->count >= 0 && make_room(asking) < 0)
		return ga_error_memory(error);
	if (whole->state == GA_NVML_DEAD && !suspect(asking, whole) && !was_lost_to_version(asking))
		return silent ? whole_is_silent(asking, error) : whole_is_dead(asking, error);
	*ret_over = false;
	if (whole->state == GA_NVML_DEAD && was_lost_to_version(asking))
		return start_without_version(asking, error);
	return asking->probing ? 0 : start_probes(asking, error);
}

/* Takes the answer that counts now; *ret_over is set if that ends the query, for good or bad. */
static int judge(struct asking *asking, bool *ret_over, gpualloc_machine **ret_machine,
		 gpualloc_error *error)
{
	int64_t now = ga_clock_ms();
	int result;

	*ret_over = true;
	if (asking->whole.state == GA_NVML_ANSWERED || asking->whole.state == GA_NVML_REFUSED)
		return finish(asking, &asking->whole, ret_machine, error);
	result = judge_whole(asking, now, ret_over, error);
	if (result < 0 || !asking->probing)
		return result;
	for (size_t i = 0; asking->probes && i < asking->count; i++)
		judge_probe(asking, i, now);
	result = drive_relief(asking, now, error);
	*ret_over = result < 0;
	if (result == 0 && asking->whole.state == GA_NVML_DEAD && all_decided(asking) &&
	    asking->relief.state >= GA_NVML_ANSWERED && asking->relief.state != GA_NVML_DEAD) {
		*ret_over = true;
		return finish(asking, &asking->relief, ret_machine, error);
	}
	return result;
}

/* ---- all rounds ---- */

static void add_fd(struct pollfd *fds, struct ga_nvml_worker **workers, size_t *count,
		   struct ga_nvml_worker *worker)
{
	if (worker->state != GA_NVML_ASKING)
		return;
	fds[*count] = (struct pollfd){.fd = worker->child.out, .events = POLLIN};
	workers[(*count)++] = worker;
}

/* Once it takes long, the caller is told each second. */
static void tell_waiting(struct asking *asking, int64_t now)
{
	const struct ga_source_request *request = asking->request;
	const struct ga_nvml_worker *whole = &asking->whole;
	char text[192], of[32] = "";

	if (!request->waiting || now - asking->started_ms < SLOW_MS ||
	    now - asking->told_ms < SLOW_MS)
		return;
	asking->told_ms = now;
	if (whole->index >= 0)
		(void)snprintf(of, sizeof of, " GPU %lld", (long long)whole->index);
	(void)snprintf(text, sizeof text,
		       "the driver (NVML) is slow to answer: asking%s for %s, %lld s", of,
		       whole->count < 0 ? "it to start" : whole->doing,
		       (long long)((now - asking->started_ms) / 1000));
	request->waiting(request->waiting_context, text);
}

static int hear_all(struct asking *asking)
{
	size_t room = asking->probes ? asking->count + 2 : 2, count = 0;
	ga_auto_free struct pollfd *fds = calloc(room, sizeof *fds);
	ga_auto_free struct ga_nvml_worker **workers = calloc(room, sizeof(void *));
	int64_t pause = doubt(asking) / 8 + 1;

	if (!fds || !workers)
		return GPUALLOC_ENOMEM;
	add_fd(fds, workers, &count, &asking->whole);
	add_fd(fds, workers, &count, &asking->relief);
	for (size_t i = 0; asking->probes && i < asking->count; i++)
		add_fd(fds, workers, &count, &asking->probes[i]);
	if (poll(fds, count, pause < 200 ? (int)pause : 200) < 0 && errno != EINTR)
		return GPUALLOC_ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (fds[i].revents && ga_nvml_worker_hear(workers[i]) < 0)
			return GPUALLOC_ENOMEM;
	return 0;
}

static int go_on(struct asking *asking, gpualloc_machine **ret_machine, gpualloc_error *error)
{
	bool over = false;
	int result = 0;

	while (!over) {
		int64_t now;

		if (hear_all(asking) < 0)
			return ga_error_memory(error);
		result = judge(asking, &over, ret_machine, error);
		now = ga_clock_ms();
		if (over)
			break;
		if (asking->whole.count > 0 && make_room(asking) < 0)
			return ga_error_memory(error);
		tell_waiting(asking, now);
		if (asking->whole.count >= 0 && now - asking->started_ms >= total(asking))
			return asking->relief.state == GA_NVML_ANSWERED
				       ? finish(asking, &asking->relief, ret_machine, error)
				       : too_long(asking, error);
	}
	return result;
}

int ga_nvml_ask(const struct ga_source_request *request, gpualloc_machine **ret_machine,
		gpualloc_error *error)
{
	auto_asking struct asking asking = {.request = request, .started_ms = ga_clock_ms()};
	struct ga_nvml_question question = {.request = request, .only = GA_UNKNOWN};
	int result = ga_nvml_worker_start(&asking.whole, &question, error);

	if (result < 0)
		return result;
	result = go_on(&asking, ret_machine, error);
	if (request->waiting && asking.told_ms)
		request->waiting(request->waiting_context, NULL);
	/* A child that has reported everything gets a little time to close the library. */
	if (asking.whole.state == GA_NVML_ANSWERED)
		ga_nvml_worker_stop(&asking.whole, ga_clock_ms() + SHUTDOWN_MS);
	if (asking.relief.state == GA_NVML_ANSWERED)
		ga_nvml_worker_stop(&asking.relief, ga_clock_ms() + SHUTDOWN_MS);
	return result;
}
