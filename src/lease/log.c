/* SPDX-License-Identifier: Apache-2.0 */
/* Lines for the system's log; see log.h. */
#include "log.h"

#include "leaf.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>

enum { LINE_MAX_SIZE = 4096 };

const char *ga_log_socket(const struct ga_config *config, bool is_here)
{
	const char *path = ga_config_path(is_here);

	if (config->log)
		return config->log;
	/*
	 * A configuration that GPUALLOC_CONFIG names, as in tests, must say itself where the log
	 * is.
	 */
	return path && strcmp(path, GA_CONFIG_DEFAULT) == 0 ? "/dev/log" : NULL;
}

static void send_line(const char *path, const struct ga_buffer *line)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	ga_auto_close int fd = -1;

	if (line->failed || strlen(path) >= sizeof address.sun_path)
		return;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		(void)sendto(fd, line->data, line->size, MSG_NOSIGNAL,
			     (const struct sockaddr *)&address, sizeof address);
}

static void add_time(struct ga_buffer *line, const char *key, int64_t seconds)
{
	time_t time = (time_t)seconds;
	char text[40];
	struct tm parts;

	if (seconds >= 0 && gmtime_r(&time, &parts) &&
	    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) > 0)
		ga_buffer_format(line, " %s=%s", key, text);
}

/* Devices whose names do not fit are only counted: a name is never cut in the middle. */
static void add_devices(struct ga_buffer *line, const struct ga_record *record)
{
	size_t said = 0;

	for (; said < record->piece_count; said++) {
		const char *uuid = record->pieces[said].uuid;

		if (line->size + strlen(uuid) + 300 > LINE_MAX_SIZE)
			break;
		ga_buffer_format(line, "%s%s", said ? "," : " devices=", uuid);
	}
	if (said < record->piece_count)
		ga_buffer_format(line, ",+%zu", record->piece_count - said);
}

static void begin(struct ga_buffer *line, const char *event, const struct ga_record *record)
{
	char id[GA_ID_TEXT], user[256];

	ga_id_text(record->id, id);
	ga_leaf_user(record->uid, user, sizeof user);
	ga_buffer_format(line, "<%d>gpualloc[%ld]: %s lease=%s user=%s uid=%u",
			 LOG_DAEMON | LOG_INFO, (long)getpid(), event, id,
			 strncmp(user, "uid ", 4) == 0 ? "-" : user, (unsigned)record->uid);
	add_devices(line, record);
	if (record->memory >= 0)
		ga_buffer_format(line, " memory=%lld", (long long)record->memory);
	add_time(line, "since", record->since);
}

void ga_log_grant(const char *socket, const struct ga_record *record)
{
	ga_auto_buffer struct ga_buffer line = GA_BUFFER_INIT(LINE_MAX_SIZE);

	begin(&line, "grant", record);
	send_line(socket, &line);
}

void ga_log_end(const struct ga_record *record)
{
	ga_auto_buffer struct ga_buffer line = GA_BUFFER_INIT(LINE_MAX_SIZE);
	ga_auto_config struct ga_config config = {0};
	const char *socket;

	if (ga_config_read(ga_config_path(true), &config, NULL) < 0)
		return;
	socket = ga_log_socket(&config, true);
	if (!socket)
		return;
	begin(&line, "end", record);
	add_time(&line, "until", (int64_t)time(NULL));
	send_line(socket, &line);
}

void ga_log_remove(const struct ga_store *store, uint64_t id)
{
	ga_auto_record struct ga_record record = {0};

	if (ga_record_remove(store, id, &record) && record.logged > 0)
		ga_log_end(&record);
}

void ga_log_sweep(const struct ga_store *store)
{
	ga_auto_records struct ga_records swept = {0};

	ga_records_sweep(store, &swept);
	for (size_t i = 0; i < swept.count; i++)
		if (swept.list[i].logged > 0)
			ga_log_end(&swept.list[i]);
}
