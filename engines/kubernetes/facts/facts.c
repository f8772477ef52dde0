/* SPDX-License-Identifier: Apache-2.0 */
/* One patch at a time, by a worker of its own; see facts.h. */
#include "facts.h"

#include "apiserver/client.h"
#include "clock.h"
#include "error.h"
#include "front.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	APART_MS = 10000,
	ANYWAY_MS = 10 * 60 * 1000, /* somebody may have removed them */
	RETRY_MS = 1000,
	RETRY_MOST_MS = 60000,
	CALL_MS = 10000,
	KEY_SIZE = RESOURCE_SIZE + 64
};

struct facts {
	struct agent *agent;
	struct api_client *client; /* the worker's */
	struct worker worker;
	json_t *written; /* what the node has; NULL: not known */
	bool is_writing, must_write; /* although the node should have them */
	int64_t not_before, retry_ms, written_at;
	char told[512];
};

struct writing {
	struct job job;
	struct facts *facts;
	json_t *counted, *patch;
	int result;
	gpualloc_error *error;
};

static void writing_free(struct writing *writing)
{
	json_decref(writing->counted);
	json_decref(writing->patch);
	gpualloc_error_free(writing->error);
	free(writing);
}

static void work(struct job *job)
{
	struct writing *writing = (struct writing *)job;
	const struct settings *settings = writing->facts->agent->settings;
	struct api_answer answer = {0};
	char path[NODE_SIZE + 32];

	(void)snprintf(path, sizeof path, "/api/v1/nodes/%s", settings->node);
	writing->result = api_call(writing->facts->client, API_PATCH, path, writing->patch, &answer,
				   writing->error);
	api_answer_free(&answer);
}

static void failed(struct facts *facts, const struct writing *writing)
{
	const char *why = gpualloc_error_message(writing->error);

	if (strncmp(facts->told, why, sizeof facts->told - 1) != 0)
		log_say(&facts->agent->log, LOG_LEVEL_WARNING,
			"the facts at node %s are not up to date: %s", facts->agent->settings->node,
			why);
	(void)snprintf(facts->told, sizeof facts->told, "%s", why);
	facts->retry_ms = facts->retry_ms ? facts->retry_ms * 2 : RETRY_MS;
	if (facts->retry_ms > RETRY_MOST_MS)
		facts->retry_ms = RETRY_MOST_MS;
	facts->not_before = ga_clock_ms() + facts->retry_ms;
	facts->must_write = true;
}

static void done(struct job *job)
{
	struct writing *writing = (struct writing *)job;
	struct facts *facts = writing->facts;

	facts->is_writing = false;
	if (writing->result < 0) {
		failed(facts, writing);
	} else {
		json_decref(facts->written);
		facts->written = json_incref(writing->counted);
		facts->written_at = ga_clock_ms();
		facts->not_before = facts->written_at + APART_MS;
		facts->retry_ms = 0;
		*facts->told = '\0';
	}
	writing_free(writing);
}

/* ---- what is written ---- */

/* "nvidia.com/gpu.free": as labels of others about GPUs are called. */
static void make_key(const struct settings *settings, const char *name, char key[static KEY_SIZE])
{
	(void)snprintf(key, KEY_SIZE, "%s.%s", settings->resource, name);
}

static int add_label(json_t *part, const struct settings *settings, const char *name,
		     const json_t *number)
{
	char key[KEY_SIZE], value[32];

	make_key(settings, name, key);
	(void)snprintf(value, sizeof value, "%lld", (long long)json_integer_value(number));
	return json_object_set_new(part, key, json_string(value));
}

static int add_annotation(json_t *part, const struct settings *settings, const json_t *counted)
{
	char *text = json_dumps(counted, JSON_COMPACT | JSON_SORT_KEYS);
	char key[KEY_SIZE];
	int result;

	make_key(settings, "facts", key);
	result = text ? json_object_set_new(part, key, json_string(text)) : -1;
	free(text);
	return result;
}

static int add_labels(json_t *part, const struct settings *settings, json_t *counted)
{
	const char *name;
	json_t *number;
	int result = 0;

	json_object_foreach(counted, name, number)
	{
		result |= add_label(part, settings, name, number);
	}
	return result;
}

static json_t *make_patch(json_t *counted, const struct settings *settings)
{
	bool is_labels = settings->facts == FACTS_LABELS;
	json_t *part = json_object();
	int result = -1;

	if (part)
		result = is_labels ? add_labels(part, settings, counted)
				   : add_annotation(part, settings, counted);
	if (result < 0) {
		json_decref(part);
		return NULL;
	}
	return json_pack("{s:{s:o}}", "metadata", is_labels ? "labels" : "annotations", part);
}

static void update(struct facts *facts)
{
	struct agent *agent = facts->agent;
	struct writing *writing;
	json_t *counted;

	if (facts->is_writing || ga_clock_ms() < facts->not_before)
		return;
	counted = facts_count(&agent->inventory, agent->settings, ga_clock_ms());
	if (!counted ||
	    (!facts->must_write && facts->written && json_equal(counted, facts->written))) {
		json_decref(counted);
		return;
	}
	writing = calloc(1, sizeof *writing);
	if (!writing) {
		json_decref(counted);
		return;
	}
	*writing = (struct writing){.job = {.work = work, .done = done},
				    .facts = facts,
				    .counted = counted,
				    .patch = make_patch(counted, agent->settings),
				    .error = gpualloc_error_new()};
	if (!writing->patch) {
		writing_free(writing);
		return;
	}
	facts->is_writing = true;
	facts->must_write = false;
	worker_post(&facts->worker, &writing->job);
}

/* ---- the front ---- */

static int begin(struct agent *agent, gpualloc_error *error)
{
	struct facts *facts = calloc(1, sizeof *facts);
	int result;

	if (!facts)
		return ga_error_memory(error);
	facts->agent = agent;
	result = api_client_open(agent->settings->kubeconfig, CALL_MS, &facts->client, error);
	if (result == 0)
		result = worker_start(&facts->worker, &agent->loop, error);
	if (result < 0) {
		free(facts);
		return result;
	}
	agent->facts = facts;
	return deviceplugin_front.begin(agent, error);
}

static void publish(struct agent *agent)
{
	deviceplugin_front.publish(agent);
	update(agent->facts);
}

static const char *folder(const struct settings *settings)
{
	return deviceplugin_front.folder(settings);
}

static const char *note(const struct settings *settings)
{
	return deviceplugin_front.note(settings);
}

static int units(const struct agent *agent, struct units_wanted *wanted)
{
	return deviceplugin_front.units(agent, wanted);
}

/* A kubelet that starts may make the node's object anew, and nobody tells. */
static void check(struct agent *agent, bool kubelet_is_new)
{
	struct facts *facts = agent->facts;

	if (kubelet_is_new || ga_clock_ms() - facts->written_at > ANYWAY_MS)
		facts->must_write = true;
	deviceplugin_front.check(agent, kubelet_is_new);
}

/* What is at the node stays: another agent may be there already. */
static void end(struct agent *agent)
{
	deviceplugin_front.end(agent);
}

const struct agent_front facts_front = {.folder = folder,
					.note = note,
					.begin = begin,
					.publish = publish,
					.units = units,
					.check = check,
					.end = end};
