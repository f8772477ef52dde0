/* SPDX-License-Identifier: Apache-2.0 */
/* Leases for a person and for a program; see leases.h. Text that others wrote is made harmless. */
#include "cleanup.h"
#include "columns.h"
#include "held_json.h"
#include "json_writer.h"
#include "leases.h"
#include "open.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ID_WIDTH = 10, USER_WIDTH = 8, PID_WIDTH = 7, GPUS_WIDTH = 9, TIME_WIDTH = 9 };
enum { UUID_SHOWN = 12, USER_SHOWN = 24, COMMAND_LEAST = 16 };

/* What the columns before the last one say; NULL: "-". */
struct cells {
	const char *id, *user, *gpus;
	int64_t pid;
	int64_t since, until; /* -1: not known */
};

/* "14 min", "5h12min", "3 d 4 h"; "-" if it is not known. */
static void add_span(struct ga_buffer *text, int64_t from, int64_t to)
{
	long long seconds = to > from ? (long long)(to - from) : 0;
	char word[48] = "-";

	if (from < 0 || to < 0)
		(void)snprintf(word, sizeof word, "-");
	else if (seconds < 60)
		(void)snprintf(word, sizeof word, "%lld s", seconds);
	else if (seconds < 3600)
		(void)snprintf(word, sizeof word, "%lld min", seconds / 60);
	else if (seconds < 24 * 3600)
		(void)snprintf(word, sizeof word, "%lldh%02lldmin", seconds / 3600,
			       seconds / 60 % 60);
	else
		(void)snprintf(word, sizeof word, "%lld d %lld h", seconds / 86400,
			       seconds / 3600 % 24);
	columns_left(text, word, TIME_WIDTH);
}

static void add_pid(struct ga_buffer *text, int64_t pid)
{
	char word[24] = "-";

	if (pid >= 0)
		(void)snprintf(word, sizeof word, "%lld", (long long)pid);
	columns_left(text, word, PID_WIDTH);
}

static void add_word(struct ga_buffer *text, const char *word, size_t width)
{
	columns_left(text, word ? word : "-", width);
	ga_buffer_char(text, ' ');
}

static void add_heading(struct ga_buffer *text, const struct terminal *terminal)
{
	colour_start(text, terminal, COLOUR_DIM);
	add_word(text, "LEASE", ID_WIDTH);
	add_word(text, "USER", USER_WIDTH);
	add_word(text, "PID", PID_WIDTH);
	add_word(text, "GPUS", GPUS_WIDTH);
	add_word(text, "FOR", TIME_WIDTH);
	add_word(text, "LEFT", TIME_WIDTH);
	ga_buffer_text(text, "COMMAND");
	colour_end(text, terminal, COLOUR_DIM);
	ga_buffer_char(text, '\n');
}

static void add_cells(struct ga_buffer *text, const struct cells *cells)
{
	int64_t now = (int64_t)time(NULL);

	add_word(text, cells->id, ID_WIDTH);
	add_word(text, cells->user, USER_WIDTH);
	add_pid(text, cells->pid);
	ga_buffer_char(text, ' ');
	add_word(text, cells->gpus, GPUS_WIDTH);
	add_span(text, cells->since, cells->since < 0 ? -1 : now);
	ga_buffer_char(text, ' ');
	add_span(text, cells->until < 0 ? -1 : now, cells->until);
	ga_buffer_char(text, ' ');
}

static size_t rest_of(const struct terminal *terminal)
{
	size_t before = ID_WIDTH + USER_WIDTH + PID_WIDTH + GPUS_WIDTH + 2 * TIME_WIDTH + 6;

	return terminal->width > before + COMMAND_LEAST ? terminal->width - before : COMMAND_LEAST;
}

/* ---- devices ---- */

typedef const char *nth_uuid(const void *of, size_t i);

static const char *held_uuid(const void *of, size_t i)
{
	return gpualloc_held_device(of, i);
}

static const char *kept_uuid(const void *of, size_t i)
{
	return gpualloc_waiter_keep(of, i);
}

/* As the tables have them: GPUs by index, instances by their place in their GPU. */
static int by_place(const void *a, const void *b)
{
	const gpualloc_device *one = *(const gpualloc_device *const *)a;
	const gpualloc_device *other = *(const gpualloc_device *const *)b;
	const gpualloc_device *gpu = gpualloc_device_parent(one);
	const gpualloc_device *other_gpu = gpualloc_device_parent(other);
	int64_t left = gpualloc_device_index(gpu ? gpu : one);
	int64_t right = gpualloc_device_index(other_gpu ? other_gpu : other);

	if (left == right) {
		left = gpualloc_device_index(one);
		right = gpualloc_device_index(other);
	}
	return (left > right) - (left < right);
}

/* "0-3,6" in new memory; NULL if not all of them are known. Without memory the text has failed. */
static char *ids_of(struct ga_buffer *text, const gpualloc_machine *machine, nth_uuid *nth,
		    const void *of, size_t count)
{
	ga_auto_free const gpualloc_device **devices = calloc(count + 1, sizeof *devices);
	size_t size;
	char *ids;

	text->failed = text->failed || !devices;
	if (!devices || !machine || count == 0)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		devices[i] = find_device(machine, nth(of, i));
		if (!devices[i])
			return NULL;
	}
	qsort(devices, count, sizeof *devices, by_place);
	size = gpualloc_device_ids(devices, count, NULL, 0) + 1;
	ids = malloc(size);
	text->failed = text->failed || !ids;
	if (ids)
		(void)gpualloc_device_ids(devices, count, ids, size);
	return ids;
}

static void add_uuid(struct ga_buffer *text, const char *uuid, bool is_first)
{
	size_t kind = strncmp(uuid, "MIG-GPU-", 8) == 0 ? 4 : 0;

	ga_buffer_text(text, is_first ? "" : ", ");
	columns_foreign(text, uuid, UUID_SHOWN + kind + 1);
}

/* Their numbers, or else their UUIDs. */
static void add_list(struct ga_buffer *text, const char *ids, nth_uuid *nth, const void *of,
		     size_t count)
{
	for (size_t i = 0; !ids && i < count; i++)
		add_uuid(text, nth(of, i), i == 0);
	ga_buffer_text(text, ids ? ids : "");
	ga_buffer_char(text, '\n');
}

/* ---- what is held ---- */

/* What of the devices is not in the table; elsewhere than on a terminal, their UUIDs in any case.
 */
static void add_devices(struct ga_buffer *text, const gpualloc_held *held, const char *ids,
			const struct terminal *terminal)
{
	size_t count = gpualloc_held_device_count(held);
	int64_t memory = gpualloc_held_memory(held);
	bool is_said = ids && columns_of(ids) <= GPUS_WIDTH;

	if (is_said && memory >= 0 && terminal->is_terminal) {
		ga_buffer_format(text, "  %lld MiB%s\n", (long long)(memory >> 20),
				 count == 1 ? "" : " of each");
		return;
	}
	if (count == 0 || (is_said && terminal->is_terminal))
		return;
	ga_buffer_repeat(text, ' ', 2);
	if (memory >= 0)
		ga_buffer_format(text, "%lld MiB of each of ", (long long)(memory >> 20));
	add_list(text, terminal->is_terminal ? ids : NULL, held_uuid, held, count);
}

static void add_agent(struct ga_buffer *text, const gpualloc_held *held,
		      const struct terminal *terminal)
{
	const char *user = gpualloc_held_user(held), *agent = gpualloc_held_agent(held);

	if (!agent)
		return;
	ga_buffer_text(text, "  agent of ");
	columns_foreign(text, user ? user : "?", USER_SHOWN);
	ga_buffer_text(text, ": ");
	columns_foreign(text, agent, terminal->width - USER_SHOWN - 14);
	ga_buffer_char(text, '\n');
}

static void add_note(struct ga_buffer *text, const char *note, const struct terminal *terminal)
{
	if (!note)
		return;
	ga_buffer_text(text, "  note: ");
	columns_foreign(text, note, terminal->width - 8);
	ga_buffer_char(text, '\n');
}

/* The ids if they fit into their column, else how many there are. */
static const char *gpus_cell(const char *ids, size_t count, char word[static 32])
{
	if (ids && columns_of(ids) <= GPUS_WIDTH)
		return ids;
	if (count == 0)
		return "-";
	(void)snprintf(word, 32, "%zu %s", count, count == 1 ? "device" : "devices");
	return word;
}

static void add_lease(struct ga_buffer *text, const struct leases_view *view, size_t i,
		      const struct terminal *terminal)
{
	const gpualloc_held *held = gpualloc_leases_held(view->leases, i);
	size_t count = gpualloc_held_device_count(held);
	ga_auto_free char *ids = ids_of(text, view->machine, held_uuid, held, count);
	const char *command = gpualloc_held_command(held);
	char gpus[32];
	struct cells cells = {.id = gpualloc_held_id(held),
			      .user = gpualloc_held_user(held),
			      .gpus = gpus_cell(ids, count, gpus),
			      .pid = gpualloc_held_pid(held),
			      .since = gpualloc_held_since(held),
			      .until = gpualloc_held_until(held)};

	add_cells(text, &cells);
	columns_foreign(text, command ? command : "held, no record", rest_of(terminal));
	ga_buffer_char(text, '\n');
	add_devices(text, held, ids, terminal);
	leases_draining_text(text, view, i);
	leases_use_text(text, view, i, terminal);
	leases_idle_text(text, view, i);
	add_agent(text, held, terminal);
	if (gpualloc_held_user(held))
		add_note(text, gpualloc_held_note(held), terminal);
}

/* ---- the queue ---- */

static void add_keeps(struct ga_buffer *text, const gpualloc_machine *machine,
		      const gpualloc_waiter *waiter)
{
	size_t count = gpualloc_waiter_keep_count(waiter);
	ga_auto_free char *ids = ids_of(text, machine, kept_uuid, waiter, count);

	if (count == 0)
		return;
	ga_buffer_text(text, "  kept for it: ");
	add_list(text, ids, kept_uuid, waiter, count);
}

static void add_waiter(struct ga_buffer *text, const struct leases_view *view, size_t i,
		       const struct terminal *terminal)
{
	const gpualloc_waiter *waiter = gpualloc_leases_waiter(view->leases, i);
	const char *request = gpualloc_waiter_request(waiter);
	const char *command = gpualloc_waiter_command(waiter);
	char place[32];
	struct cells cells = {.id = place,
			      .user = gpualloc_waiter_user(waiter),
			      .pid = gpualloc_waiter_pid(waiter),
			      .since = gpualloc_waiter_since(waiter),
			      .until = -1};

	(void)snprintf(place, sizeof place, "%zu", i + 1);
	add_cells(text, &cells);
	columns_foreign(text, command ? command : "-", rest_of(terminal));
	ga_buffer_text(text, "\n  wants: ");
	columns_foreign(text, request ? request : "-", terminal->width - 9);
	ga_buffer_char(text, '\n');
	add_keeps(text, view->machine, waiter);
	add_note(text, gpualloc_waiter_note(waiter), terminal);
}

static void add_waiting(struct ga_buffer *text, const struct leases_view *view,
			const struct terminal *terminal)
{
	size_t count = gpualloc_leases_waiter_count(view->leases);

	if (count == 0)
		return;
	ga_buffer_text(text, "\nWAITING, in the order of the queue\n");
	for (size_t i = 0; i < count; i++)
		add_waiter(text, view, i, terminal);
}

void leases_text(struct ga_buffer *text, const struct leases_view *view,
		 const struct terminal *terminal)
{
	size_t count = view->leases ? gpualloc_leases_held_count(view->leases) : 0;

	if (!view->store) {
		ga_buffer_format(text, "no leases: there is no store %s\n",
				 gpualloc_store_default());
		return;
	}
	if (count == 0)
		ga_buffer_format(text, "no leases in %s\n", gpualloc_store_path(view->store));
	else
		add_heading(text, terminal);
	for (size_t i = 0; i < count; i++)
		add_lease(text, view, i, terminal);
	add_waiting(text, view, terminal);
}

/* ---- JSON ---- */

static void json_lease(struct ga_json *json, const struct leases_view *view, size_t i)
{
	const gpualloc_held *held = gpualloc_leases_held(view->leases, i);

	ga_json_open_line(json, "\n  ", NULL, '{');
	held_json(json, held);
	leases_draining_json(json, view, i);
	leases_use_json(json, view, i);
	leases_idle_json(json, view, i);
	ga_json_close(json, '}');
}

static void json_keeps(struct ga_json *json, const gpualloc_waiter *waiter, bool is_known)
{
	const char *uuid;

	if (!ga_json_open_known(json, "keeps", '[', is_known))
		return;
	for (size_t k = 0; (uuid = gpualloc_waiter_keep(waiter, k)); k++)
		ga_json_text(json, NULL, uuid);
	ga_json_close(json, ']');
}

static void json_waiting(struct ga_json *json, const struct leases_view *view, size_t i)
{
	const gpualloc_waiter *waiter = gpualloc_leases_waiter(view->leases, i);

	ga_json_open_line(json, "\n  ", NULL, '{');
	ga_json_text(json, "user", gpualloc_waiter_user(waiter));
	ga_json_number(json, "pid", gpualloc_waiter_pid(waiter));
	ga_json_number(json, "since", gpualloc_waiter_since(waiter));
	ga_json_text(json, "request", gpualloc_waiter_request(waiter));
	ga_json_text(json, "command", gpualloc_waiter_command(waiter));
	ga_json_text(json, "note", gpualloc_waiter_note(waiter));
	json_keeps(json, waiter, view->machine != NULL);
	ga_json_close(json, '}');
}

void leases_json(struct ga_buffer *text, const struct call *call, const struct leases_view *view)
{
	const gpualloc_store *store = view->store;
	const gpualloc_leases *leases = view->leases;
	struct ga_json json = {.out = text};

	begin_document(&json, call);
	ga_json_text(&json, "store", store ? gpualloc_store_path(store) : NULL);
	ga_json_open_line(&json, "\n ", "leases", '[');
	for (size_t i = 0; leases && i < gpualloc_leases_held_count(leases); i++)
		json_lease(&json, view, i);
	ga_json_close(&json, ']');
	ga_json_open_line(&json, "\n ", "waiting", '[');
	for (size_t i = 0; leases && i < gpualloc_leases_waiter_count(leases); i++)
		json_waiting(&json, view, i);
	ga_json_close(&json, ']');
	end_document(&json);
}
