/* SPDX-License-Identifier: Apache-2.0 */
/* GetInfo and NotifyRegistrationStatus, and the sockets for them; see registration.h. */
#include "registration.h"

#include "client.h"
#include "error.h"
#include "messages.h"
#include "owned.h"
#include "pluginregistration.pb-c.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DRIVER_SOCKET "dra-"
#define REGISTRAR_END "-reg.sock"

enum { PATH_SIZE = SETTINGS_TEXT + 512 };

/* ---- what the kubelet calls ---- */

static void info_called(void *context, struct grpc_call *call, const uint8_t *message, size_t size)
{
	struct registration *registration = context;
	Pluginregistration__PluginInfo info = PLUGINREGISTRATION__PLUGIN_INFO__INIT;
	/* The first that the kubelet knows is taken. */
	static char type[] = "DRAPlugin", v1[] = "v1.DRAPlugin", v1beta1[] = "v1beta1.DRAPlugin";
	char *versions[] = {v1, v1beta1};
	char name[SETTINGS_TEXT];
	ga_auto_free uint8_t *bytes = NULL;

	(void)message;
	(void)snprintf(name, sizeof name, "%s", registration->agent->settings->driver);
	info.type = type;
	info.name = name;
	info.endpoint = registration->endpoint;
	info.supported_versions = versions;
	info.n_supported_versions = 2;
	bytes = message_write(&info.base, &size);
	if (bytes)
		grpc_call_reply(call, bytes, size);
	else
		grpc_call_fail(call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
}

static void status_called(void *context, struct grpc_call *call, const uint8_t *message,
			  size_t size)
{
	struct registration *registration = context;
	const struct log *log = &registration->agent->log;
	const char *driver = registration->agent->settings->driver;
	auto_arena struct arena arena = {0};
	const Pluginregistration__RegistrationStatus *status = message_read(
		&arena, &pluginregistration__registration_status__descriptor, message, size);

	if (!status) {
		grpc_call_fail(call, GRPC_INVALID_ARGUMENT, "this is no RegistrationStatus");
		return;
	}
	/* The kubelet tries again by itself. */
	if (status->plugin_registered) {
		log_say(log, LOG_LEVEL_INFO, "%s: registered with the kubelet", driver);
		registration->agent->metrics.registrations++;
		registration->registered(registration->context);
	} else {
		log_say(log, LOG_LEVEL_ERROR, "%s: the kubelet does not take it: %.512s", driver,
			status->error);
	}
	grpc_call_reply(call, "", 0);
}

static const struct grpc_method registrar_methods[] = {
	{"/pluginregistration.Registration/GetInfo", info_called, NULL},
	{"/pluginregistration.Registration/NotifyRegistrationStatus", status_called, NULL},
};

/* ---- the sockets ---- */

static void driver_folder(const struct settings *settings, char *path, size_t size)
{
	(void)snprintf(path, size, "%s/plugins/%s", settings->kubelet_root, settings->driver);
}

/* The kubelet makes plugins_registry itself; the driver's folder is the driver's. */
static int make_folder(const struct settings *settings, gpualloc_error *error)
{
	char path[PATH_SIZE];

	driver_folder(settings, path, sizeof path);
	if (mkdir(path, 0750) < 0 && errno != EEXIST)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "cannot make the folder %s",
				      path);
	return 0;
}

static int open_sockets(struct registration *registration, gpualloc_error *error)
{
	struct agent *agent = registration->agent;
	const struct settings *settings = agent->settings;
	char path[PATH_SIZE], folder[PATH_SIZE];
	int result = make_folder(settings, error);

	driver_folder(settings, folder, sizeof folder);
	(void)snprintf(registration->endpoint, sizeof registration->endpoint,
		       "%.3072s/" DRIVER_SOCKET "%lld-%u.sock", folder,
		       (long long)agent->started_at, registration->sockets);
	(void)snprintf(path, sizeof path, "%s/%s-%lld-%u" REGISTRAR_END, settings->registry_dir,
		       settings->driver, (long long)agent->started_at, registration->sockets);
	registration->sockets++;
	if (result == 0)
		result = grpc_server_open(&agent->loop, registration->endpoint,
					  registration->methods, registration->method_count,
					  registration->context, &registration->driver, error);
	/* The kubelet calls as soon as it sees this one. */
	if (result == 0)
		result = grpc_server_open(&agent->loop, path, registrar_methods,
					  sizeof registrar_methods / sizeof *registrar_methods,
					  registration, &registration->registrar, error);
	return result;
}

static void close_sockets(struct registration *registration)
{
	struct grpc_server *registrar = registration->registrar, *driver = registration->driver;

	/* In this order, so that the kubelet does not call what has gone. */
	registration->registrar = registration->driver = NULL;
	grpc_server_close(registrar);
	grpc_server_close(driver);
}

void registration_check(struct registration *registration)
{
	struct agent *agent = registration->agent;
	auto_error gpualloc_error *error = NULL;

	if (grpc_server_is_there(registration->driver) &&
	    grpc_server_is_there(registration->registrar))
		return;
	error = gpualloc_error_new();
	close_sockets(registration);
	if (open_sockets(registration, error) == 0) {
		*registration->told = '\0';
		return;
	}
	close_sockets(registration);
	if (!ga_text_starts(gpualloc_error_message(error), registration->told) ||
	    !*registration->told)
		log_say(&agent->log, LOG_LEVEL_ERROR, "%s: cannot serve: %s; trying again",
			agent->settings->driver, gpualloc_error_message(error));
	(void)snprintf(registration->told, sizeof registration->told, "%s",
		       gpualloc_error_message(error));
}

/* ---- those of other agents ---- */

/*
 * What an agent that was killed has left behind: it has our names, and nobody listens. The kubelet
 * would go on calling it.
 */
static void clear_folder(const struct registration *registration, const char *folder,
			 const char *prefix, const char *end)
{
	DIR *entries = opendir(folder);
	struct dirent *entry;
	char path[PATH_SIZE + 256];

	while (entries && (entry = readdir(entries))) {
		const char *rest = entry->d_name + strlen(prefix);
		int64_t started, number;
		struct stat status;

		if (!ga_text_starts(entry->d_name, prefix) ||
		    !ga_text_take_number(&rest, INT64_MAX, &started) || *rest++ != '-' ||
		    !ga_text_take_number(&rest, INT64_MAX, &number) || strcmp(rest, end) != 0 ||
		    started == registration->agent->started_at)
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		if (lstat(path, &status) == 0 && S_ISSOCK(status.st_mode) &&
		    status.st_uid == geteuid() && grpc_try(path) == -ECONNREFUSED)
			(void)unlink(path);
	}
	if (entries)
		(void)closedir(entries);
}

bool registration_is_shared(const struct registration *registration)
{
	const struct settings *settings = registration->agent->settings;
	char folder[PATH_SIZE], path[PATH_SIZE + 256];
	const char *own = strrchr(registration->endpoint, '/');
	DIR *entries;
	struct dirent *entry;
	bool found = false;

	driver_folder(settings, folder, sizeof folder);
	entries = opendir(folder);
	while (entries && !found && (entry = readdir(entries))) {
		if (!ga_text_starts(entry->d_name, DRIVER_SOCKET) ||
		    (own && strcmp(entry->d_name, own + 1) == 0))
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		found = grpc_try(path) == 0;
	}
	if (entries)
		(void)closedir(entries);
	return found;
}

/* ---- beginning and end ---- */

void registration_open(struct registration *registration)
{
	const struct settings *settings = registration->agent->settings;
	char folder[PATH_SIZE], prefix[DRIVER_SIZE + 1];

	driver_folder(settings, folder, sizeof folder);
	(void)snprintf(prefix, sizeof prefix, "%s-", settings->driver);
	clear_folder(registration, folder, DRIVER_SOCKET, ".sock");
	clear_folder(registration, settings->registry_dir, prefix, REGISTRAR_END);
	registration_check(registration);
}

void registration_close(struct registration *registration)
{
	close_sockets(registration);
}
