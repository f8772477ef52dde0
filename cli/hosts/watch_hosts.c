/* SPDX-License-Identifier: Apache-2.0 */
/* The asker of list --watch --on; see watch_hosts.h. */
#include "hosts/watch_hosts.h"

#include "clock.h"
#include "file.h"
#include "hosts/document.h"
#include "hosts/on.h"
#include "message.h"
#include "watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	ANSWER_MS = 5000,     /* then the others are shown without it ... */
	AGAIN_MS = 30000,     /* ... and it is left alone for a while */
	STAY_S = 60 * 60 + 60 /* longer than the longest interval */
};

/* Where the sockets are: made by watch_hosts() before the asker, which is killed at the end. */
static char sockets[SOCKETS_PATH];

struct asker {
	const struct call *call;
	struct hosts hosts;
	int64_t *leave_until; /* of each host */
	char **words;
	struct watch_head head;
	struct ga_buffer rows;
};

/* ---- rows ---- */

/* Whole characters, and none that a terminal obeys. */
static void copy(char *to, size_t size, const char *from)
{
	ga_auto_free char *clean = from ? ga_text_clean(from, strlen(from)) : NULL;

	(void)snprintf(to, size, "%s", clean ? clean : "");
	for (size_t end = strlen(to); end > 0 && !ga_text_is_clean(to, end);)
		to[--end] = '\0';
}

static void add(struct asker *asker, struct watch_row *row)
{
	if (asker->head.rows == WATCH_ROWS_MOST)
		return;
	row->place = asker->head.rows++;
	ga_buffer_append(&asker->rows, row, sizeof *row);
}

static void add_device(struct asker *asker, const struct host *host, const json_t *device,
		       int64_t parent)
{
	const json_t *memory = json_object_get(device, "memory");
	int64_t use = document_number(device, "utilization");
	char id[400];
	struct document_holder holder;
	struct watch_row row;

	memset(&row, 0, sizeof row);
	if (parent < 0)
		(void)snprintf(id, sizeof id, "%s %lld", host->name,
			       (long long)document_number(device, "index"));
	else
		(void)snprintf(id, sizeof id, "%s %lld:%lld:%lld", host->name, (long long)parent,
			       (long long)document_number(device, "gi"),
			       (long long)document_number(device, "ci"));
	copy(row.id, sizeof row.id, id);
	copy(row.state, sizeof row.state, document_text(device, "state"));
	row.used = document_number(memory, "used");
	row.total = document_number(memory, "total");
	row.utilization = use > 100 ? -1 : (int32_t)use;
	row.is_instance = parent >= 0;
	holder = document_holder(device);
	row.since = holder.since;
	copy(row.user, sizeof row.user, holder.user);
	copy(row.what, sizeof row.what, holder.what);
	asker->head.gpus += parent < 0;
	asker->head.free += strcmp(row.state, "free") == 0;
	add(asker, &row);
}

static void add_devices(struct asker *asker, const struct answer *answer)
{
	const json_t *devices = json_object_get(answer->document, "devices"), *device, *instance;
	size_t i, m;

	json_array_foreach(devices, i, device)
	{
		add_device(asker, answer->host, device, -1);
		json_array_foreach(json_object_get(device, "mig"), m, instance)
		{
			add_device(asker, answer->host, instance, document_number(device, "index"));
		}
	}
}

static void add_trouble(struct asker *asker, const struct host *host, const char *reason)
{
	struct watch_row row;

	memset(&row, 0, sizeof row);
	row.used = row.total = row.since = -1;
	row.utilization = -1;
	copy(row.id, sizeof row.id, host->name);
	copy(row.state, sizeof row.state, "no answer");
	copy(row.what, sizeof row.what, reason);
	add(asker, &row);
}

/* ---- asking ---- */

/* Those that are not left alone, in the order in which they were named. */
static struct hosts those_to_ask(const struct asker *asker, struct host *room)
{
	struct hosts chosen = {.list = room};

	for (size_t i = 0; i < asker->hosts.count; i++)
		if (ga_clock_ms() >= asker->leave_until[i])
			room[chosen.count++] = asker->hosts.list[i];
	return chosen;
}

static void take(struct asker *asker, const struct answer *answer)
{
	if (answer->document) {
		add_devices(asker, answer);
		return;
	}
	add_trouble(asker, answer->host, answer->reason);
	if (answer->reason && strstr(answer->reason, "did not answer within"))
		asker->leave_until[answer->host->number] = ga_clock_ms() + AGAIN_MS;
}

static void look(struct asker *asker)
{
	ga_auto_free struct host *room = calloc(asker->hosts.count + 1, sizeof *room);
	struct request request = {.mode = REQUEST_ASK, .words = asker->words};
	struct question question = {.request = &request,
				    .command = "list",
				    .deadline_ms = ANSWER_MS,
				    .sockets = sockets,
				    .stay_s = STAY_S};
	struct hosts chosen = room ? those_to_ask(asker, room) : (struct hosts){0};
	struct answer *answers = NULL;

	while (asker->words[request.word_count])
		request.word_count++;
	if (ask(&chosen, &question, &answers) != 0)
		return;
	for (size_t i = 0, next = 0; i < asker->hosts.count; i++)
		if (next < chosen.count && chosen.list[next].number == i)
			take(asker, &answers[next++]);
		else
			add_trouble(asker, &asker->hosts.list[i],
				    "did not answer; it is asked again after half a minute");
	answers_free(answers, chosen.count);
}

_Noreturn void watch_ask_hosts(const struct call *call, int from, int to)
{
	static const char *const json[] = {"--json", NULL};
	struct asker asker = {.call = call, .words = on_words(call, json)};
	char word;

	if (!asker.words || hosts_named(call, &asker.hosts) != 0)
		_exit(STATUS_MEMORY);
	asker.leave_until = calloc(asker.hosts.count, sizeof *asker.leave_until);
	while (asker.leave_until && read(from, &word, 1) == 1) {
		asker.head = (struct watch_head){0};
		asker.rows = GA_BUFFER_OUTPUT;
		(void)snprintf(asker.head.machine, sizeof asker.head.machine, "%zu host%s",
			       asker.hosts.count, asker.hosts.count == 1 ? "" : "s");
		look(&asker);
		if (asker.rows.failed ||
		    ga_file_put(to, (const char *)&asker.head, sizeof asker.head) != 0 ||
		    ga_file_put(to, asker.rows.data, asker.rows.size) != 0)
			break;
		ga_buffer_free(&asker.rows);
	}
	_exit(0);
}

int watch_hosts(const struct call *call, const struct hosts *hosts)
{
	ga_auto_free char *path = NULL;
	char control[SOCKET_PATH];
	int result = ssh_find(&path);

	if (result == 0)
		result = ssh_make_folder(sockets);
	if (result)
		return result;
	result = watch(call);
	for (size_t i = 0; i < hosts->count; i++) {
		ask_socket(sockets, &hosts->list[i], control);
		ssh_end_master(path, &hosts->list[i], control);
	}
	(void)rmdir(sockets);
	return result;
}
