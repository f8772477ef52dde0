/* SPDX-License-Identifier: Apache-2.0 */
/* What happens when, in one loop; see agent.h. */
#include "agent.h"

#include "clock.h"
#include "error.h"
#include "text.h"
#include "xid.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>

enum { TICK_MS = 1000, FAILED_PROBES_MOST = 3, RECORD_SIZE = 8192 };

/* Says a sentence about something that goes on, once until it is another. */
static void tell_once(struct agent *agent, char *told, size_t size, const char *sentence)
{
	if (strncmp(told, sentence, size - 1) != 0 && *sentence)
		log_say(&agent->log, LOG_LEVEL_WARNING, "%s", sentence);
	(void)snprintf(told, size, "%s", sentence);
}

/* ---- the front ---- */

void agent_publish(struct agent *agent)
{
	/* Before the first look at leases it is not known what is free. */
	if (agent->inventory.machine && agent->is_known &&
	    (!agent->settings->lease || agent->has_settled))
		agent->front->publish(agent);
}

/* ---- the machine ---- */

static void take_snapshot(struct agent *agent, struct probing *probing)
{
	const char *mistakes = probing->mistakes;
	gpualloc_error *error = gpualloc_error_new();
	char sentence[512];

	agent->failed_probes = 0;
	if (probing->text >= 0) {
		if (agent->snapshot >= 0)
			close(agent->snapshot);
		agent->snapshot = probing->text;
		probing->text = -1;
	}
	foresight_forget(agent);
	if (inventory_update(&agent->inventory, probing->machine, agent->settings,
			     probing->began_at, probing->excluded, error) < 0)
		log_say(&agent->log, LOG_LEVEL_ERROR, "%s", gpualloc_error_message(error));
	probing->machine = NULL;
	gpualloc_error_free(error);
	*sentence = '\0';
	if (*mistakes)
		(void)snprintf(sentence, sizeof sentence, "%s", mistakes);
	else if (agent->inventory.count == 0)
		(void)snprintf(sentence, sizeof sentence, "there is no GPU to offer yet");
	else if (agent->inventory.is_uneven)
		(void)snprintf(sentence, sizeof sentence,
			       "MIG instances are not offered: with `mig = single` all GPUs must "
			       "have instances of one profile; `mig = mixed` offers each profile "
			       "as a resource of its own");
	else if (agent->inventory.without_uuid)
		(void)snprintf(sentence, sizeof sentence,
			       "%zu devices are not offered: they have no UUID",
			       agent->inventory.without_uuid);
	tell_once(agent, agent->told_of_machine, sizeof agent->told_of_machine, sentence);
}

static void probed(struct job *job)
{
	struct probing *probing = (struct probing *)job;
	struct agent *agent = probing->context;

	agent->is_probing = false;
	metrics_queried(&agent->metrics, probing->began_at, probing->machine != NULL);
	if (probing->machine) {
		take_snapshot(agent, probing);
	} else {
		tell_once(agent, agent->told_of_machine, sizeof agent->told_of_machine,
			  gpualloc_error_message(probing->error));
		if (++agent->failed_probes >= FAILED_PROBES_MOST)
			agent->inventory.is_blind = true;
	}
	probing_free(probing);
	agent_settle(agent);
	agent_publish(agent);
	if (agent->probe_again)
		agent_probe(agent);
	else
		loop_set(&agent->loop, &agent->probe_at, agent->settings->interval_ms);
}

static void probe(void *context)
{
	agent_probe(context);
}

void agent_probe(struct agent *agent)
{
	struct probing *probing;

	agent->probe_again = agent->is_probing;
	if (agent->is_probing)
		return;
	probing = probing_new(&agent->prober);
	if (!probing) {
		loop_set(&agent->loop, &agent->probe_at, agent->settings->interval_ms);
		return;
	}
	probing->context = agent;
	probing->job.done = probed;
	agent->is_probing = true;
	loop_unset(&agent->loop, &agent->probe_at);
	worker_post(&agent->probes, &probing->job);
}

/* ---- leases ---- */

static bool is_among(const struct units_wanted *list, const char *uuid)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->list[i].uuid, uuid) == 0)
			return true;
	return false;
}

/* What was given back is looked at again before it counts as in use. */
static void note_ours(struct agent *agent)
{
	struct units_wanted ours = {0};
	bool let_go = false;

	(void)agent->front->units(agent, &ours);
	for (size_t i = 0; i < agent->inventory.count; i++) {
		struct unit *unit = &agent->inventory.units[i];
		bool is_ours = is_among(&ours, unit->uuid);

		if (unit->is_ours && !is_ours) {
			unit->let_go_at = ga_clock_ms();
			let_go = true;
		}
		unit->is_ours = is_ours;
	}
	units_wanted_free(&ours);
	if (let_go)
		agent_probe(agent);
}

static void take_notes(struct agent *agent, const struct keeping *keeping)
{
	const char *note = keeping->notes.data;
	char sentence[sizeof agent->told_of_leases];

	(void)snprintf(sentence, sizeof sentence, "%s",
		       keeping->result < 0              ? gpualloc_error_message(keeping->error)
		       : note && !keeping->notes.failed ? note
							: "");
	tell_once(agent, agent->told_of_leases, sizeof agent->told_of_leases, sentence);
}

static void settled(struct job *job)
{
	struct keeping *keeping = (struct keeping *)job;
	struct agent *agent = keeping->context;

	agent->is_settling = false;
	agent->has_settled = agent->has_settled || agent->is_settling_all;
	take_notes(agent, keeping);
	for (size_t i = 0; keeping->result == 0 && i < agent->inventory.count; i++) {
		struct unit *unit = &agent->inventory.units[i];

		unit->is_leased = is_among(&keeping->taken_by_others, unit->uuid);
	}
	keeping_free(keeping);
	agent_publish(agent);
	if (agent->settle_again)
		agent_settle(agent);
}

void agent_settle(struct agent *agent)
{
	struct keeping *keeping;

	note_ours(agent);
	if (!agent->settings->lease)
		return;
	agent->settle_again = agent->is_settling;
	if (agent->is_settling)
		return;
	keeping = keeping_new(&agent->keeper, agent->snapshot);
	if (!keeping || agent->front->units(agent, &keeping->wanted) < 0) {
		keeping_free(keeping);
		return;
	}
	keeping->is_all = true;
	keeping->gives_back = agent->is_known;
	keeping->who = agent->front->note(agent->settings);
	keeping->context = agent;
	keeping->job.done = settled;
	agent->is_settling = true;
	agent->is_settling_all = agent->is_known && agent->snapshot >= 0;
	worker_post(&agent->leases, &keeping->job);
}

/* ---- the kernel's log ---- */

static bool is_ignored(const struct settings *settings, int64_t number)
{
	for (size_t i = 0; i < settings->ignored_xid_count; i++)
		if (settings->ignored_xids[i] == number)
			return true;
	return false;
}

/* Of an instance only that one is sick. */
static void note_xid(struct agent *agent, const struct xid *xid)
{
	bool found = false;

	if (is_ignored(agent->settings, xid->number))
		return;
	for (size_t i = 0; i < agent->inventory.count; i++) {
		struct unit *unit = &agent->inventory.units[i];

		if (!xid_is_at(xid, unit->pci) ||
		    (xid->gi >= 0 && unit->gi >= 0 && unit->gi != xid->gi))
			continue;
		unit->sick_at = ga_clock_ms();
		(void)snprintf(unit->reason, sizeof unit->reason, "XID %lld in the kernel's log",
			       (long long)xid->number);
		found = true;
	}
	if (!found)
		return;
	agent_publish(agent);
	agent_probe(agent);
}

static void read_kernel_log(void *context, uint32_t events)
{
	struct agent *agent = context;
	char record[RECORD_SIZE];
	ssize_t size = read(agent->kernel_log.fd, record, sizeof record);

	(void)events;
	/* EPIPE: records were overwritten before we read them. */
	if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR && errno != EPIPE)) {
		log_say(&agent->log, LOG_LEVEL_WARNING, "%s: %s; XIDs are not seen any more",
			agent->settings->kernel_log, size ? strerror(errno) : "it has ended");
		loop_forget(&agent->loop, &agent->kernel_log);
		close(agent->kernel_log.fd);
		agent->kernel_log.fd = -1;
		return;
	}
	for (struct ga_view rest = {record, size > 0 ? (size_t)size : 0}, line;
	     ga_view_line(&rest, &line);) {
		struct xid xid;

		if (xid_read(line.text, line.size, &xid))
			note_xid(agent, &xid);
	}
}

/* From now on; what is old was dealt with. */
static void open_kernel_log(struct agent *agent)
{
	const char *path = agent->settings->kernel_log;
	int fd;

	agent->kernel_log =
		(struct loop_watch){.fd = -1, .ready = read_kernel_log, .context = agent};
	if (!*path)
		return;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		(void)lseek(fd, 0, SEEK_END);
	agent->kernel_log.fd = fd;
	if (fd >= 0 && loop_watch(&agent->loop, &agent->kernel_log, EPOLLIN) == 0)
		return;
	log_say(&agent->log, LOG_LEVEL_WARNING,
		"%s: %s; XIDs are not seen, only what a probe finds every %lld s", path,
		strerror(errno), (long long)agent->settings->interval_ms / 1000);
	if (fd >= 0)
		close(fd);
	agent->kernel_log.fd = -1;
}

/* ---- the front's folder ---- */

static void watch_folder(struct agent *agent)
{
	if (agent->folder.fd >= 0 && agent->folder_watch < 0)
		agent->folder_watch = inotify_add_watch(
			agent->folder.fd, agent->front->folder(agent->settings),
			IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF);
}

static void read_folder(void *context, uint32_t events)
{
	struct agent *agent = context;
	_Alignas(struct inotify_event) char bytes[4096];
	ssize_t size = read(agent->folder.fd, bytes, sizeof bytes);
	bool is_new = false;

	(void)events;
	for (ssize_t at = 0; at < size;) {
		const struct inotify_event *event = (const struct inotify_event *)(bytes + at);

		at += (ssize_t)(sizeof *event + event->len);
		if (event->mask & IN_IGNORED)
			agent->folder_watch = -1;
		is_new = is_new || ((event->mask & (IN_CREATE | IN_MOVED_TO)) && event->len &&
				    strcmp(event->name, "kubelet.sock") == 0);
	}
	agent->front->check(agent, is_new);
}

static void open_folder(struct agent *agent)
{
	agent->folder_watch = -1;
	agent->folder = (struct loop_watch){.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
					    .ready = read_folder,
					    .context = agent};
	if (agent->folder.fd >= 0)
		(void)loop_watch(&agent->loop, &agent->folder, EPOLLIN);
	watch_folder(agent);
}

/* ---- time, and the end ---- */

static void tick(void *context)
{
	struct agent *agent = context;

	watch_folder(agent);
	metrics_serve(agent);
	agent->front->check(agent, false);
	if (agent->is_known && !agent->is_settling)
		agent_settle(agent);
	agent_publish(agent);
	loop_set(&agent->loop, &agent->tick_at, TICK_MS);
}

static void stop(void *context, uint32_t events)
{
	struct agent *agent = context;

	(void)events;
	agent->loop.stop = true;
}

static int open_signals(struct agent *agent, gpualloc_error *error)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	agent->signals = (struct loop_watch){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
					     .ready = stop,
					     .context = agent};
	if (agent->signals.fd < 0 || loop_watch(&agent->loop, &agent->signals, EPOLLIN) < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "cannot wait for signals");
	return 0;
}

/* ---- the agent ---- */

/* So that at an update nobody gets between us and the agent that we replace. */
static void inherit(struct agent *agent)
{
	gpualloc_error *error = gpualloc_error_new();
	size_t missed = keeper_inherit(&agent->keeper, error), shared = agent->keeper.count;

	if (shared)
		log_say(&agent->log, LOG_LEVEL_INFO,
			"shares %zu lease%s with an agent that was started earlier", shared,
			shared > 1 ? "s" : "");
	if (missed)
		log_say(&agent->log, LOG_LEVEL_WARNING,
			"%zu lease%s of an agent that was started earlier cannot be shared, and may "
			"be lost for a moment when it ends: %s",
			missed, missed > 1 ? "s" : "", gpualloc_error_message(error));
	gpualloc_error_free(error);
}

static int begin(struct agent *agent, gpualloc_error *error)
{
	const struct settings *settings = agent->settings;
	int result = prober_start(&agent->prober, settings, error);

	/* Threads that rest most of the time need no memory of their own. */
	(void)mallopt(M_ARENA_MAX, 1);
	if (result == 0)
		result = loop_open(&agent->loop, error);
	if (result == 0)
		result = open_signals(agent, error);
	if (result == 0)
		result = gpualloc_policy_open(settings->policy, &agent->policy, error);
	if (result == 0 && settings->lease)
		result = keeper_open(&agent->keeper, settings, error);
	if (result == 0 && settings->lease)
		inherit(agent);
	if (result == 0)
		result = worker_start(&agent->probes, &agent->loop, error);
	if (result == 0)
		result = worker_start(&agent->leases, &agent->loop, error);
	return result;
}

static void end(struct agent *agent)
{
	agent->front->end(agent);
	metrics_end(agent);
	loop_close(&agent->loop);
}

/*
 * At the end the workers may still be at work, so what they use stays; the leases end with the
 * process.
 */
int agent_run(const struct settings *settings, const struct agent_front *front,
	      gpualloc_error *error)
{
	static struct agent agent;
	int result;

	agent = (struct agent){.settings = settings,
			       .front = front,
			       .log = {.json = settings->log_json},
			       .started_at = ga_clock_read_ms(CLOCK_REALTIME),
			       .snapshot = -1};
	agent.probe_at = (struct loop_timer){.ring = probe, .context = &agent};
	agent.tick_at = (struct loop_timer){.ring = tick, .context = &agent};
	result = begin(&agent, error);
	if (result == 0)
		result = front->begin(&agent, error);
	if (result < 0)
		return result;
	open_folder(&agent);
	open_kernel_log(&agent);
	metrics_serve(&agent);
	agent_probe(&agent);
	loop_set(&agent.loop, &agent.tick_at, TICK_MS);
	result = loop_run(&agent.loop, error);
	end(&agent);
	return result;
}
