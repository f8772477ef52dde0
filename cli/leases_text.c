/* SPDX-License-Identifier: Apache-2.0 */
/* Leases for a person and for a program; see leases.h. Text that others wrote is made harmless. */
#include "columns.h"
#include "json_writer.h"
#include "leases.h"
#include "open.h"
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ID_WIDTH = 10, USER_WIDTH = 10, PID_WIDTH = 8, SINCE_WIDTH = 12, UUID_SHOWN = 12 };

/* "10:42:07" today, else "Nov 21 10:42". */
static void add_since(struct ga_buffer *text, int64_t since)
{
	time_t then = (time_t)since, now = time(NULL);
	struct tm at, today;
	char word[32] = "-";

	if (since >= 0 && localtime_r(&then, &at) && localtime_r(&now, &today))
		(void)strftime(word, sizeof word,
			       at.tm_yday == today.tm_yday && at.tm_year == today.tm_year
				       ? "%H:%M:%S"
				       : "%b %e %H:%M",
			       &at);
	columns_left(text, word, SINCE_WIDTH);
}

static void add_pid(struct ga_buffer *text, int64_t pid)
{
	char word[24] = "-";

	if (pid >= 0)
		(void)snprintf(word, sizeof word, "%lld", (long long)pid);
	columns_left(text, word, PID_WIDTH);
}

static void add_heading(struct ga_buffer *text, const struct terminal *terminal, const char *last)
{
	colour_start(text, terminal, COLOUR_DIM);
	columns_left(text, "LEASE", ID_WIDTH);
	ga_buffer_char(text, ' ');
	columns_left(text, "USER", USER_WIDTH);
	ga_buffer_char(text, ' ');
	columns_left(text, "PID", PID_WIDTH);
	ga_buffer_char(text, ' ');
	columns_left(text, "SINCE", SINCE_WIDTH);
	ga_buffer_format(text, " %s", last);
	colour_end(text, terminal, COLOUR_DIM);
	ga_buffer_char(text, '\n');
}

static void add_cells(struct ga_buffer *text, const char *id, const char *user, int64_t pid,
		      int64_t since)
{
	columns_left(text, id ? id : "-", ID_WIDTH);
	ga_buffer_char(text, ' ');
	columns_left(text, user ? user : "-", USER_WIDTH);
	ga_buffer_char(text, ' ');
	add_pid(text, pid);
	ga_buffer_char(text, ' ');
	add_since(text, since);
	ga_buffer_char(text, ' ');
}

static size_t rest_of(const struct terminal *terminal)
{
	size_t before = ID_WIDTH + USER_WIDTH + PID_WIDTH + SINCE_WIDTH + 4;

	return terminal->width > before + 20 ? terminal->width - before : 20;
}

/* ---- what is held ---- */

static void add_uuid(struct ga_buffer *text, const char *uuid, bool is_first)
{
	size_t kind = strncmp(uuid, "MIG-GPU-", 8) == 0 ? 4 : 0;

	ga_buffer_text(text, is_first ? "" : ", ");
	columns_foreign(text, uuid, UUID_SHOWN + kind + 1);
}

static void add_devices(struct ga_buffer *text, const gpualloc_held *held)
{
	size_t count = gpualloc_held_device_count(held);
	int64_t memory = gpualloc_held_memory(held);

	ga_buffer_repeat(text, ' ', 2);
	if (memory >= 0)
		ga_buffer_format(text, "%lld MiB of each of ", (long long)(memory >> 20));
	for (size_t d = 0; d < count; d++)
		add_uuid(text, gpualloc_held_device(held, d), d == 0);
	ga_buffer_char(text, '\n');
}

static void add_lease(struct ga_buffer *text, const struct leases_view *view, size_t i,
		      const struct terminal *terminal)
{
	const gpualloc_held *held = gpualloc_leases_held(view->leases, i);
	const char *command = gpualloc_held_command(held);
	const char *note = gpualloc_held_note(held);

	add_cells(text, gpualloc_held_id(held), gpualloc_held_user(held), gpualloc_held_pid(held),
		  gpualloc_held_since(held));
	columns_foreign(text, command ? command : "held, no record", rest_of(terminal));
	ga_buffer_char(text, '\n');
	add_devices(text, held);
	leases_draining_text(text, view, i);
	leases_use_text(text, view, i, terminal);
	if (note) {
		ga_buffer_text(text, "  note: ");
		columns_foreign(text, note, terminal->width - 8);
		ga_buffer_char(text, '\n');
	}
}

/* ---- the queue ---- */

static void add_keeps(struct ga_buffer *text, const gpualloc_waiter *waiter)
{
	const char *uuid;

	for (size_t k = 0; (uuid = gpualloc_waiter_keep(waiter, k)); k++) {
		ga_buffer_text(text, k == 0 ? "  kept for it: " : "");
		add_uuid(text, uuid, k == 0);
	}
	if (gpualloc_waiter_keep(waiter, 0))
		ga_buffer_char(text, '\n');
}

static void add_waiting(struct ga_buffer *text, const gpualloc_leases *leases,
			const struct terminal *terminal)
{
	size_t count = gpualloc_leases_waiter_count(leases);

	if (count == 0)
		return;
	ga_buffer_text(text, "\nWAITING, in the order of the queue\n");
	for (size_t i = 0; i < count; i++) {
		const gpualloc_waiter *waiter = gpualloc_leases_waiter(leases, i);
		const char *request = gpualloc_waiter_request(waiter);

		add_cells(text, NULL, gpualloc_waiter_user(waiter), gpualloc_waiter_pid(waiter),
			  gpualloc_waiter_since(waiter));
		columns_foreign(text, request ? request : "-", rest_of(terminal));
		ga_buffer_char(text, '\n');
		add_keeps(text, waiter);
	}
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
		add_heading(text, terminal, "COMMAND");
	for (size_t i = 0; i < count; i++)
		add_lease(text, view, i, terminal);
	add_waiting(text, view->leases, terminal);
}

/* ---- JSON ---- */

static void json_lease(struct ga_json *json, const struct leases_view *view, size_t i)
{
	const gpualloc_held *held = gpualloc_leases_held(view->leases, i);

	ga_json_open_line(json, "\n  ", NULL, '{');
	ga_json_text(json, "id", gpualloc_held_id(held));
	ga_json_text(json, "user", gpualloc_held_user(held));
	ga_json_number(json, "pid", gpualloc_held_pid(held));
	ga_json_number(json, "since", gpualloc_held_since(held));
	ga_json_number(json, "until", gpualloc_held_until(held));
	ga_json_text(json, "command", gpualloc_held_command(held));
	ga_json_text(json, "note", gpualloc_held_note(held));
	ga_json_number(json, "memory", gpualloc_held_memory(held));
	ga_json_open(json, "devices", '[');
	for (size_t d = 0; d < gpualloc_held_device_count(held); d++)
		ga_json_text(json, NULL, gpualloc_held_device(held, d));
	ga_json_close(json, ']');
	leases_draining_json(json, view, i);
	leases_use_json(json, view, i);
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
