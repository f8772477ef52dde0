/* SPDX-License-Identifier: Apache-2.0 */
/* The device plugin as a front: plugins for resources, and which pods have what; see front.h. */
#include "front.h"

#include "clock.h"
#include "error.h"
#include "plugin.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { LIST_MOST = 16 << 20, LIST_MS = 10000 };

/* ---- plugins ---- */

static bool has_plugin(const struct agent *agent, const char *resource)
{
	for (const struct plugin *plugin = agent->plugins; plugin; plugin = plugin->next)
		if (strcmp(plugin->resource, resource) == 0)
			return true;
	return false;
}

/* A resource that is there for the first time gets its plugin; it keeps it when it is empty. */
static void add_plugins(struct agent *agent)
{
	for (size_t i = 0; i < agent->inventory.count; i++) {
		struct plugin *plugin;

		if (has_plugin(agent, agent->inventory.units[i].resource) ||
		    plugin_new(agent, agent->inventory.units[i].resource, &plugin) < 0)
			continue;
		plugin->next = agent->plugins;
		agent->plugins = plugin;
	}
}

static void publish(struct agent *agent)
{
	add_plugins(agent);
	for (struct plugin *plugin = agent->plugins; plugin; plugin = plugin->next)
		plugin_publish(plugin);
	foresight_look(agent);
}

/* A kubelet that starts empties its folder and makes its socket anew. */
static void check(struct agent *agent, bool kubelet_is_new)
{
	for (struct plugin *plugin = agent->plugins; plugin; plugin = plugin->next)
		if (kubelet_is_new)
			plugin_register(plugin);
		else
			plugin_check(plugin);
}

/* ---- the pods there are ---- */

static void end_list(struct agent *agent, const char *why)
{
	char sentence[512];

	if (why && !agent->is_list_missing) {
		(void)snprintf(sentence, sizeof sentence,
			       "the kubelet does not say which pods have devices: %s; until it "
			       "does, nothing is given back",
			       why);
		log_say(&agent->log, LOG_LEVEL_WARNING, "%s", sentence);
	}
	agent->is_list_missing = why != NULL;
	agent->is_known = true;
	agent_settle(agent);
	agent_publish(agent);
	loop_set(&agent->loop, &agent->list_at, agent->settings->poll_ms);
}

/*
 * A kubelet answers before it has heard from the API server which pods there are, and then leaves
 * out those that have run on its node since long before it was started.
 */
static void doubt_new_kubelet(struct agent *agent)
{
	struct stat now, *before = &agent->list_socket;

	if (stat(agent->settings->pod_resources, &now) < 0)
		return;
	if (before->st_ino && (before->st_ino != now.st_ino ||
			       memcmp(&before->st_ctim, &now.st_ctim, sizeof now.st_ctim) != 0))
		claims_doubt(&agent->claims, agent->listed_at);
	*before = now;
}

static void listed(void *context, enum grpc_status status, const char *sentence,
		   const uint8_t *message, size_t size)
{
	struct agent *agent = context;
	auto_arena struct arena arena = {0};
	V1__ListPodResourcesResponse *list = NULL;
	int result = 0;

	agent->list = NULL;
	if (status == GRPC_OK)
		list = message_read(&arena, &v1__list_pod_resources_response__descriptor, message,
				    size);
	if (list)
		doubt_new_kubelet(agent);
	if (list)
		result = claims_take_list(&agent->claims, list, agent->settings, agent->listed_at,
					  ga_clock_ms());
	end_list(agent, status != GRPC_OK ? sentence
			: !list           ? "its answer is not understood"
			: result < 0      ? "out of memory"
					  : NULL);
}

static void ask_for_list(void *context)
{
	struct agent *agent = context;
	gpualloc_error *error = gpualloc_error_new();
	struct grpc_asked asked = {.socket = agent->settings->pod_resources,
				   .method = "/v1.PodResourcesLister/List",
				   .most = LIST_MOST,
				   .deadline_ms = LIST_MS,
				   .answered = listed,
				   .context = agent};

	agent->listed_at = ga_clock_ms();
	agent->list = grpc_request_send(&agent->loop, &asked, error);
	if (!agent->list)
		end_list(agent, gpualloc_error_message(error));
	gpualloc_error_free(error);
}

/* ---- the front ---- */

static const char *folder(const struct settings *settings)
{
	return settings->kubelet_dir;
}

static const char *note(const struct settings *settings)
{
	return settings->resource;
}

static int begin(struct agent *agent, gpualloc_error *error)
{
	/* The first list counts; what is not in it may have been given out just now. */
	for (size_t i = 0; i < agent->keeper.count; i++)
		if (claims_add(&agent->claims, agent->keeper.held[i].uuid, ga_clock_ms() - 1) < 0)
			return ga_error_memory(error);
	agent->list_at = (struct loop_timer){.ring = ask_for_list, .context = agent};
	ask_for_list(agent);
	return worker_start(&agent->foresight.worker, &agent->loop, error);
}

static int units(const struct agent *agent, struct units_wanted *wanted)
{
	return claims_units(&agent->claims, wanted);
}

static void end(struct agent *agent)
{
	while (agent->plugins) {
		struct plugin *plugin = agent->plugins;

		agent->plugins = plugin->next;
		plugin_free(plugin);
	}
	if (agent->list)
		grpc_request_drop(agent->list);
}

const struct agent_front deviceplugin_front = {.folder = folder,
					       .note = note,
					       .begin = begin,
					       .publish = publish,
					       .units = units,
					       .check = check,
					       .end = end};
