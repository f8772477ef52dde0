/* SPDX-License-Identifier: Apache-2.0 */
/* Serving, registering, and doing so again when it is needed; see plugin.h. */
#include "plugin.h"

#include "allocate.h"
#include "clock.h"
#include "text.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	NO_STREAM_MS = 250, /* after which the kubelet is taken to have forgotten us */
	DELAY_LEAST_MS = 50,
	DELAY_MOST_MS = 5000,
	YIELD_MS = 500,
	LIST_SOON_MS = 300,
	STABLE_MS = 10000,
	REGISTER_MS = 30000, /* a kubelet dials back for 10 s at most */
	PATH_SIZE = SETTINGS_TEXT + 64
};

/* ---- the list ---- */

static V1beta1__Device *add_device(struct arena *arena, const struct unit *unit, int64_t replica,
				   int64_t replicas, bool is_healthy)
{
	V1beta1__Device *device = arena_take(arena, sizeof *device);
	V1beta1__TopologyInfo *topology = arena_take(arena, sizeof *topology);
	V1beta1__NUMANode *node = arena_take(arena, sizeof *node);
	V1beta1__NUMANode **nodes = arena_take(arena, sizeof *nodes);

	if (!device || !topology || !node || !nodes)
		return NULL;
	v1beta1__device__init(device);
	device->id = replicas > 1 ? arena_text(arena, "%s::%lld", unit->uuid, (long long)replica)
				  : arena_text(arena, "%s", unit->uuid);
	device->health = arena_text(arena, "%s", is_healthy ? "Healthy" : "Unhealthy");
	if (unit->numa >= 0) {
		v1beta1__topology_info__init(topology);
		v1beta1__numanode__init(node);
		node->id = unit->numa;
		nodes[0] = node;
		topology->nodes = nodes;
		topology->n_nodes = 1;
		device->topology = topology;
	}
	return device->id && device->health ? device : NULL;
}

/* Says it once where a unit changes. */
static void tell_health(const struct agent *agent, struct unit *unit, bool is_healthy)
{
	const char *now = is_healthy ? "" : unit->reason;

	if (strcmp(unit->told, now) == 0)
		return;
	if (is_healthy)
		log_say(&agent->log, LOG_LEVEL_INFO, "%s is healthy again", unit->uuid);
	else
		log_say(&agent->log, LOG_LEVEL_WARNING, "%s is unhealthy: %s", unit->uuid, now);
	(void)snprintf(unit->told, sizeof unit->told, "%s", now);
}

static int fill_list(struct plugin *plugin, struct arena *arena,
		     V1beta1__ListAndWatchResponse *response)
{
	struct agent *agent = plugin->agent;
	int64_t replicas = agent->settings->replicas, now = ga_clock_ms();

	plugin->healthy = plugin->total = 0;
	response->devices = arena_take(arena, (agent->inventory.count * (size_t)replicas + 1) *
						      sizeof *response->devices);
	if (!response->devices)
		return -1;
	for (size_t i = 0; i < agent->inventory.count; i++) {
		struct unit *unit = &agent->inventory.units[i];
		bool is_healthy;

		if (strcmp(unit->resource, plugin->resource) != 0)
			continue;
		is_healthy = unit_is_healthy(unit, &agent->inventory, agent->settings, now);
		tell_health(agent, unit, is_healthy);
		for (int64_t j = 0; j < replicas; j++) {
			V1beta1__Device *device = add_device(arena, unit, j, replicas, is_healthy);

			if (!device)
				return -1;
			response->devices[response->n_devices++] = device;
			plugin->healthy += is_healthy;
			plugin->total++;
		}
	}
	return 0;
}

static struct grpc_shared *make_list(struct plugin *plugin)
{
	auto_arena struct arena arena = {0};
	V1beta1__ListAndWatchResponse response = V1BETA1__LIST_AND_WATCH_RESPONSE__INIT;
	ga_auto_free uint8_t *bytes = NULL;
	size_t size;

	if (fill_list(plugin, &arena, &response) < 0)
		return NULL;
	bytes = message_write(&response.base, &size);
	return bytes ? grpc_shared_new(bytes, size) : NULL;
}

/* Telling one may end others. The note says who was told. */
static void tell_all(struct plugin *plugin)
{
	for (size_t i = 0; i < plugin->stream_count; i++)
		grpc_call_set_note(plugin->streams[i], NULL);
	for (size_t i = 0; i < plugin->stream_count;) {
		struct grpc_call *call = plugin->streams[i];

		if (grpc_call_note(call) == plugin) {
			i++;
			continue;
		}
		grpc_call_set_note(call, plugin);
		grpc_call_tell(call, plugin->list);
		i = 0;
	}
}

void plugin_publish(struct plugin *plugin)
{
	struct grpc_shared *list = make_list(plugin);

	if (!list)
		return;
	if (plugin->list && plugin->list->size == list->size &&
	    memcmp(plugin->list->bytes, list->bytes, list->size) == 0) {
		grpc_shared_release(list);
		return;
	}
	grpc_shared_release(plugin->list);
	plugin->list = list;
	log_say(&plugin->agent->log, LOG_LEVEL_INFO, "%s: %zu of %zu devices are healthy",
		plugin->resource, plugin->healthy, plugin->total);
	if (list->size > GRPC_PREFIX + GRPC_MESSAGE_MOST)
		log_say(&plugin->agent->log, LOG_LEVEL_ERROR,
			"%s: the list of devices has %zu bytes, and kubelets take 4 MiB at most; "
			"offer fewer `replicas`",
			plugin->resource, list->size);
	tell_all(plugin);
}

/* ---- the small methods ---- */

static void options_called(void *context, struct grpc_call *call, const uint8_t *message,
			   size_t size)
{
	V1beta1__DevicePluginOptions options = V1BETA1__DEVICE_PLUGIN_OPTIONS__INIT;
	uint8_t bytes[16];

	(void)context;
	(void)message;
	(void)size;
	options.get_preferred_allocation_available = 1;
	grpc_call_reply(call, bytes, protobuf_c_message_pack(&options.base, bytes));
}

/* Nothing is to be done before a container starts; the options say so. */
static void start_called(void *context, struct grpc_call *call, const uint8_t *message, size_t size)
{
	(void)context;
	(void)message;
	(void)size;
	grpc_call_reply(call, "", 0);
}

static void plan(struct plugin *plugin, int64_t after_ms)
{
	loop_set(&plugin->agent->loop, &plugin->work_at, after_ms);
}

static void watch_called(void *context, struct grpc_call *call, const uint8_t *message, size_t size)
{
	struct plugin *plugin = context;

	(void)message;
	(void)size;
	if (plugin->stream_count >= PLUGIN_STREAMS_MOST || !plugin->list) {
		grpc_call_fail(call, GRPC_RESOURCE_EXHAUSTED, "too many watch already");
		return;
	}
	if (plugin->stream_count == 0)
		plugin->streams_since = ga_clock_ms();
	plugin->streams[plugin->stream_count++] = call;
	grpc_call_tell(call, plugin->list);
}

static void watch_ended(void *context, struct grpc_call *call)
{
	struct plugin *plugin = context;

	for (size_t i = 0; i < plugin->stream_count; i++)
		if (plugin->streams[i] == call) {
			plugin->streams[i] = plugin->streams[--plugin->stream_count];
			break;
		}
	if (plugin->stream_count > 0 || !plugin->server)
		return;
	if (ga_clock_ms() - plugin->streams_since > STABLE_MS)
		plugin->delay_ms = 0;
	plan(plugin, plugin->delay_ms > NO_STREAM_MS ? plugin->delay_ms : NO_STREAM_MS);
}

static const struct grpc_method methods[] = {
	{"/v1beta1.DevicePlugin/GetDevicePluginOptions", options_called, NULL},
	{"/v1beta1.DevicePlugin/ListAndWatch", watch_called, watch_ended},
	{"/v1beta1.DevicePlugin/GetPreferredAllocation", prefer_called, NULL},
	{"/v1beta1.DevicePlugin/Allocate", allocate_called, allocate_ended},
	{"/v1beta1.DevicePlugin/PreStartContainer", start_called, NULL},
};

/* ---- the socket ---- */

/* "gpualloc-HASH-": of all agents that serve this resource. */
static void socket_prefix(const struct plugin *plugin, char *text, size_t size)
{
	uint32_t sum = 0x811c9dc5;

	for (const char *c = plugin->resource; *c; c++)
		sum = (sum ^ (unsigned char)*c) * 0x01000193;
	(void)snprintf(text, size, "gpualloc-%08" PRIx32 "-", sum);
}

static bool listen_anew(struct plugin *plugin)
{
	struct agent *agent = plugin->agent;
	gpualloc_error *error = gpualloc_error_new();
	char prefix[32], path[PATH_SIZE];
	struct grpc_server *old = plugin->server;
	int result;

	plugin->server = NULL;
	grpc_server_close(old);
	socket_prefix(plugin, prefix, sizeof prefix);
	(void)snprintf(plugin->endpoint, sizeof plugin->endpoint, "%s%lld-%u.sock", prefix,
		       (long long)agent->started_at, plugin->endpoints++);
	(void)snprintf(path, sizeof path, "%s/%s", agent->settings->kubelet_dir, plugin->endpoint);
	result = grpc_server_open(&agent->loop, path, methods, sizeof methods / sizeof *methods,
				  plugin, &plugin->server, error);
	if (result < 0 && !ga_text_same(plugin->told, gpualloc_error_message(error))) {
		(void)snprintf(plugin->told, sizeof plugin->told, "%s",
			       gpualloc_error_message(error));
		log_say(&agent->log, LOG_LEVEL_ERROR, "%s: cannot serve: %s; trying again",
			plugin->resource, plugin->told);
	}
	gpualloc_error_free(error);
	plugin->must_register = true;
	return result == 0;
}

/* When the agent of another socket of this resource was started, if it was after us; else 0. */
static int64_t younger_start(const struct plugin *plugin, const char *name)
{
	const char *text = name;
	char prefix[32];
	int64_t started;

	socket_prefix(plugin, prefix, sizeof prefix);
	if (!ga_text_starts(name, prefix))
		return 0;
	text += strlen(prefix);
	if (!ga_text_take_number(&text, INT64_MAX, &started))
		return 0;
	return started > plugin->agent->started_at ? started : 0;
}

/*
 * The kubelet knows one plugin for a resource, the last that registered. At an update, when two
 * agents run side by side, the older one leaves the place to the younger one as long as that lives.
 * A younger one that died before we saw it listen counts once: the kubelet may know it.
 */
static bool is_succeeded(struct plugin *plugin, bool *ret_is_new)
{
	const char *folder = plugin->agent->settings->kubelet_dir;
	DIR *entries = opendir(folder);
	struct dirent *entry;
	char path[PATH_SIZE + 256];
	bool found = false;

	*ret_is_new = false;
	while (entries && (entry = readdir(entries))) {
		int64_t started = younger_start(plugin, entry->d_name);

		if (started == 0)
			continue;
		*ret_is_new = *ret_is_new || started > plugin->younger;
		plugin->younger = started > plugin->younger ? started : plugin->younger;
		(void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		found = found || grpc_try(path) == 0;
	}
	if (entries)
		(void)closedir(entries);
	return found;
}

/* ---- registering ---- */

static void plan_again(struct plugin *plugin)
{
	plugin->delay_ms =
		plugin->delay_ms < DELAY_LEAST_MS ? DELAY_LEAST_MS : plugin->delay_ms * 2;
	if (plugin->delay_ms > DELAY_MOST_MS)
		plugin->delay_ms = DELAY_MOST_MS;
	plan(plugin, plugin->delay_ms);
}

static void tell_failure(struct plugin *plugin, const char *why)
{
	if (strcmp(plugin->told, why) != 0)
		log_say(&plugin->agent->log, LOG_LEVEL_WARNING,
			"%s: not registered with the kubelet yet: %s", plugin->resource, why);
	(void)snprintf(plugin->told, sizeof plugin->told, "%s", why);
}

static void registered(void *context, enum grpc_status status, const char *sentence,
		       const uint8_t *message, size_t size)
{
	struct plugin *plugin = context;

	(void)message;
	(void)size;
	plugin->registering = NULL;
	if (status != GRPC_OK) {
		tell_failure(plugin, sentence);
		plan_again(plugin);
		return;
	}
	*plugin->told = '\0';
	plugin->must_register = false;
	plugin->agent->metrics.registrations++;
	log_say(&plugin->agent->log, LOG_LEVEL_INFO, "%s: registered with the kubelet",
		plugin->resource);
	/* What another agent gave out until now, and we should lease. */
	if (plugin->agent->list_at.is_set)
		loop_set(&plugin->agent->loop, &plugin->agent->list_at, LIST_SOON_MS);
	/* If it does not watch by then it has mixed us up with a predecessor. */
	if (plugin->delay_ms < NO_STREAM_MS)
		plugin->delay_ms = NO_STREAM_MS / 2;
	plan_again(plugin);
}

static void send_registration(struct plugin *plugin)
{
	V1beta1__DevicePluginOptions options = V1BETA1__DEVICE_PLUGIN_OPTIONS__INIT;
	V1beta1__RegisterRequest request = V1BETA1__REGISTER_REQUEST__INIT;
	gpualloc_error *error = gpualloc_error_new();
	char path[PATH_SIZE], version[] = "v1beta1";
	ga_auto_free uint8_t *bytes = NULL;
	struct grpc_asked asked = {.socket = path,
				   .method = "/v1beta1.Registration/Register",
				   .most = 4096,
				   .deadline_ms = REGISTER_MS,
				   .answered = registered,
				   .context = plugin};

	options.get_preferred_allocation_available = 1;
	request.version = version;
	request.endpoint = plugin->endpoint;
	request.resource_name = plugin->resource;
	request.options = &options;
	bytes = message_write(&request.base, &asked.size);
	asked.message = bytes;
	(void)snprintf(path, sizeof path, "%s/kubelet.sock", plugin->agent->settings->kubelet_dir);
	plugin->registering = bytes ? grpc_request_send(&plugin->agent->loop, &asked, error) : NULL;
	if (!plugin->registering) {
		tell_failure(plugin, gpualloc_error_message(error));
		plan_again(plugin);
	}
	gpualloc_error_free(error);
}

static bool yields(struct plugin *plugin)
{
	bool before = plugin->is_yielding, is_new, is_there = is_succeeded(plugin, &is_new);

	plugin->is_yielding = is_there || is_new;
	if (is_there && (is_new || !before))
		log_say(&plugin->agent->log, LOG_LEVEL_INFO,
			"%s: an agent that was started later serves it now; waiting for it to end",
			plugin->resource);
	return plugin->is_yielding;
}

static void work(void *context)
{
	struct plugin *plugin = context;

	if (plugin->registering || (plugin->stream_count > 0 && !plugin->must_register))
		return;
	if (!grpc_server_is_there(plugin->server) && !listen_anew(plugin)) {
		plan_again(plugin);
		return;
	}
	if (yields(plugin))
		plan(plugin, YIELD_MS);
	else
		send_registration(plugin);
}

void plugin_register(struct plugin *plugin)
{
	plugin->must_register = true;
	plugin->delay_ms = 0;
	if (plugin->registering)
		grpc_request_drop(plugin->registering);
	plugin->registering = NULL;
	plan(plugin, 0);
}

/* A kubelet may keep the old one's stream when it takes the younger one, and tells nobody. */
void plugin_check(struct plugin *plugin)
{
	bool had_yielded = plugin->is_yielding;

	if (!plugin->server)
		return;
	if ((had_yielded && !yields(plugin)) ||
	    (!grpc_server_is_there(plugin->server) && !plugin->work_at.is_set))
		plugin_register(plugin);
	else if (!had_yielded)
		(void)yields(plugin);
}

int plugin_new(struct agent *agent, const char *resource, struct plugin **ret_plugin)
{
	struct plugin *plugin = calloc(1, sizeof *plugin);

	if (!plugin)
		return GPUALLOC_ENOMEM;
	plugin->agent = agent;
	plugin->work_at = (struct loop_timer){.ring = work, .context = plugin};
	(void)snprintf(plugin->resource, sizeof plugin->resource, "%s", resource);
	plugin_publish(plugin);
	plugin->must_register = true;
	plan(plugin, 0);
	*ret_plugin = plugin;
	return 0;
}

void plugin_free(struct plugin *plugin)
{
	struct grpc_server *server = plugin->server;

	plugin->server = NULL;
	grpc_server_close(server);
	if (plugin->registering)
		grpc_request_drop(plugin->registering);
	loop_unset(&plugin->agent->loop, &plugin->work_at);
	grpc_shared_release(plugin->list);
	free(plugin);
}
