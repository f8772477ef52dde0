/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One resource's device plugin: the socket it serves on, its registration with the kubelet, and the
 * list that the kubelet watches. If the kubelet forgets it, it registers again.
 */
#ifndef DEVICEPLUGIN_PLUGIN_H
#define DEVICEPLUGIN_PLUGIN_H

#include "agent.h"
#include "server.h"

enum { PLUGIN_STREAMS_MOST = 64 };

struct plugin {
	struct agent *agent;
	struct plugin *next;
	char resource[RESOURCE_SIZE];
	char endpoint[64];  /* the socket's name */
	unsigned endpoints; /* how many there were */
	struct grpc_server *server;
	struct grpc_request *registering;
	struct loop_timer work_at;
	int64_t delay_ms, streams_since;
	bool must_register;
	bool is_yielding; /* to a younger agent */
	int64_t younger;  /* when the youngest that was ever seen was started */
	struct grpc_call *streams[PLUGIN_STREAMS_MOST];
	size_t stream_count;
	struct grpc_shared *list;
	size_t healthy, total;
	char told[512];
};

int plugin_new(struct agent *agent, const char *resource, struct plugin **ret_plugin);
void plugin_free(struct plugin *plugin);
/* Tells the kubelet where something has changed. */
void plugin_publish(struct plugin *plugin);
/* A kubelet has just started. */
void plugin_register(struct plugin *plugin);
/* Makes a new socket if the old one is gone. */
void plugin_check(struct plugin *plugin);

#endif
