/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answers of several hosts, shown together; see show.h. Every key of a host's document may be
 * missing or of another type than ours: then it is not known.
 */
#include "hosts/show.h"

#include "columns.h"
#include "elapsed.h"
#include "hosts/document.h"
#include "hosts/grid.h"
#include "open.h"
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { WORD_SIZE = 160 };

static const char *dash(const char *word)
{
	return word ? word : "-";
}

/* ---- list ---- */

enum { L_HOST, L_GPU, L_NAME, L_STATE, L_MEMORY, L_UTIL, L_USER, L_SINCE, L_WHAT, L_COLUMNS };

static const struct grid_column list_columns[] = {
	[L_HOST] = {"HOST", false, 8, 0},     [L_GPU] = {"GPU", false, 0, 0},
	[L_NAME] = {"NAME", false, 8, 5},     [L_STATE] = {"STATE", false, 0, 0},
	[L_MEMORY] = {"MEMORY", true, 0, 3},  [L_UTIL] = {"UTIL", true, 0, 1},
	[L_USER] = {"USER", false, 6, 6},     [L_SINCE] = {"FOR", false, 0, 2},
	[L_WHAT] = {"COMMAND", false, 10, 4},
};

static enum colour colour_of(const char *state)
{
	static const struct {
		const char *state;
		enum colour colour;
	} colours[] = {{"free", COLOUR_GREEN},      {"leased", COLOUR_BLUE},
		       {"kept", COLOUR_CYAN},       {"in-use", COLOUR_YELLOW},
		       {"MIG", COLOUR_NONE},        {"excluded", COLOUR_DIM},
		       {"draining", COLOUR_YELLOW}, {"drained", COLOUR_DIM}};

	for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
		if (strcmp(state, colours[i].state) == 0)
			return colours[i].colour;
	return COLOUR_RED;
}

static void set_memory(struct grid *grid, const json_t *device)
{
	const json_t *memory = json_object_get(device, "memory");
	int64_t used = document_number(memory, "used"), total = document_number(memory, "total");
	char word[WORD_SIZE], parts[2][32] = {"-", "-"};

	if (used >= 0)
		(void)snprintf(parts[0], sizeof parts[0], "%.1f", (double)used / (1 << 30));
	if (total >= 0)
		(void)snprintf(parts[1], sizeof parts[1], "%.1f", (double)total / (1 << 30));
	(void)snprintf(word, sizeof word, "%s/%s GiB", parts[0], parts[1]);
	grid_set(grid, L_MEMORY, used < 0 && total < 0 ? "-" : word);
}

static void set_user(struct grid *grid, const json_t *device)
{
	struct document_holder holder = document_holder(device);
	ga_auto_buffer struct ga_buffer span = GA_BUFFER_OUTPUT;

	grid_set(grid, L_USER, holder.user);
	grid_set(grid, L_WHAT, holder.what);
	if (holder.since < 0)
		return;
	elapsed_words(&span, ((int64_t)time(NULL) - holder.since) * 1000);
	grid_set(grid, L_SINCE, span.data);
	grid->failed = grid->failed || span.failed;
}

static void add_device(struct grid *grid, const struct answer *answer, const json_t *device,
		       int64_t parent)
{
	bool is_cut_up = json_array_size(json_object_get(device, "mig")) > 0;
	const char *state = is_cut_up ? "MIG" : dash(document_text(device, "state"));
	const char *name = document_text(device, parent < 0 ? "name" : "profile");
	int64_t use = document_number(device, "utilization"),
		compute = document_number(device, "ci");
	char word[WORD_SIZE];

	if (name && strncmp(name, "NVIDIA ", 7) == 0)
		name += 7;
	grid_row(grid, colour_of(state));
	grid_set(grid, L_HOST, answer->host->name);
	if (parent < 0)
		(void)snprintf(word, sizeof word, "%lld",
			       (long long)document_number(device, "index"));
	else
		(void)snprintf(word, sizeof word, "%lld:%lld:%lld", (long long)parent,
			       (long long)document_number(device, "gi"),
			       (long long)(compute < 0 ? 0 : compute));
	grid_set(grid, L_GPU, word);
	grid_set(grid, L_NAME, dash(name));
	grid_set(grid, L_STATE, state);
	set_memory(grid, device);
	(void)snprintf(word, sizeof word, "%lld%%", (long long)use);
	grid_set(grid, L_UTIL, use < 0 ? "-" : word);
	if (!is_cut_up)
		set_user(grid, device);
}

static void add_devices(struct grid *grid, const struct answer *answer)
{
	const json_t *devices = json_object_get(answer->document, "devices"), *device, *instance;
	size_t i, m;

	json_array_foreach(devices, i, device)
	{
		const json_t *instances = json_object_get(device, "mig");

		add_device(grid, answer, device, -1);
		json_array_foreach(instances, m, instance)
		{
			add_device(grid, answer, instance, document_number(device, "index"));
		}
	}
}

static size_t count_free(const struct grid *grid)
{
	size_t count = 0;

	for (size_t row = 0; row < grid->row_count; row++) {
		const char *state = grid->cells[row * grid->column_count + L_STATE];

		count += state && strcmp(state, "free") == 0;
	}
	return count;
}

void show_list(struct ga_buffer *text, const struct answers *answers,
	       const struct terminal *terminal)
{
	auto_grid struct grid grid = {
		.columns = list_columns, .column_count = L_COLUMNS, .coloured = L_STATE};
	size_t hosts = 0;

	for (size_t i = 0; i < answers->count; i++) {
		if (!answers->list[i].document)
			continue;
		hosts++;
		add_devices(&grid, &answers->list[i]);
	}
	colour_start(text, terminal, COLOUR_BOLD);
	add_count(text, hosts, "host");
	ga_buffer_text(text, ": ");
	add_count(text, grid.row_count, "device");
	ga_buffer_format(text, ", %zu free", count_free(&grid));
	colour_end(text, terminal, COLOUR_BOLD);
	ga_buffer_text(text, grid.row_count ? "\n\n" : "\n");
	grid_print(text, &grid, terminal);
}

/* ---- leases ---- */

enum { E_HOST, E_LEASE, E_USER, E_PID, E_DEVICES, E_FOR, E_LEFT, E_WHAT, E_COLUMNS };

static const struct grid_column lease_columns[] = {
	[E_HOST] = {"HOST", false, 8, 0},      [E_LEASE] = {"LEASE", false, 0, 0},
	[E_USER] = {"USER", false, 6, 0},      [E_PID] = {"PID", false, 0, 1},
	[E_DEVICES] = {"DEVICES", true, 0, 2}, [E_FOR] = {"FOR", false, 0, 3},
	[E_LEFT] = {"LEFT", false, 0, 4},      [E_WHAT] = {"COMMAND", false, 10, 0},
};

static void set_span(struct grid *grid, size_t column, int64_t from, int64_t to)
{
	ga_auto_buffer struct ga_buffer span = GA_BUFFER_OUTPUT;

	if (from < 0 || to < 0)
		return;
	elapsed_words(&span, (to - from) * 1000);
	grid->failed = grid->failed || span.failed;
	grid_set(grid, column, span.data);
}

static void set_number(struct grid *grid, size_t column, int64_t number)
{
	char word[WORD_SIZE];

	(void)snprintf(word, sizeof word, "%lld", (long long)number);
	grid_set(grid, column, number < 0 ? "-" : word);
}

static void add_lease(struct grid *grid, const struct answer *answer, const json_t *lease)
{
	int64_t now = (int64_t)time(NULL);

	grid_row(grid, COLOUR_NONE);
	grid_set(grid, E_HOST, answer->host->name);
	grid_set(grid, E_LEASE, dash(document_text(lease, "id")));
	grid_set(grid, E_USER, dash(document_text(lease, "user")));
	set_number(grid, E_PID, document_number(lease, "pid"));
	set_number(grid, E_DEVICES, (int64_t)json_array_size(json_object_get(lease, "devices")));
	set_span(grid, E_FOR, document_number(lease, "since"), now);
	set_span(grid, E_LEFT, now, document_number(lease, "until"));
	grid_set(grid, E_WHAT, dash(document_text(lease, "command")));
}

static void add_waiter(struct grid *grid, const struct answer *answer, const json_t *waiter,
		       size_t place)
{
	char word[WORD_SIZE];

	grid_row(grid, COLOUR_NONE);
	grid_set(grid, E_HOST, answer->host->name);
	(void)snprintf(word, sizeof word, "waits: %zu", place);
	grid_set(grid, E_LEASE, word);
	grid_set(grid, E_USER, dash(document_text(waiter, "user")));
	set_number(grid, E_PID, document_number(waiter, "pid"));
	set_span(grid, E_FOR, document_number(waiter, "since"), (int64_t)time(NULL));
	(void)snprintf(word, sizeof word, "%.100s", dash(document_text(waiter, "request")));
	grid_set(grid, E_WHAT, word);
}

void show_leases(struct ga_buffer *text, const struct answers *answers,
		 const struct terminal *terminal)
{
	auto_grid struct grid grid = {
		.columns = lease_columns, .column_count = E_COLUMNS, .coloured = E_COLUMNS};
	size_t hosts = 0, i;
	const json_t *entry;

	for (size_t h = 0; h < answers->count; h++) {
		const struct answer *answer = &answers->list[h];

		hosts += answer->document != NULL;
		json_array_foreach(json_object_get(answer->document, "leases"), i, entry)
		{
			add_lease(&grid, answer, entry);
		}
		json_array_foreach(json_object_get(answer->document, "waiting"), i, entry)
		{
			add_waiter(&grid, answer, entry, i + 1);
		}
	}
	if (grid.row_count == 0 && !grid.failed) {
		ga_buffer_text(text, "no leases on ");
		add_count(text, hosts, "host");
		ga_buffer_char(text, '\n');
	}
	grid_print(text, &grid, terminal);
}

/* ---- their own lines ---- */

/* What gpualloc there printed may be anything until it has been looked at. */
static void add_harmless(struct ga_buffer *text, const char *from, size_t size)
{
	for (size_t at = 0, length; at < size; at += length) {
		length = from[at] == '\n' ? 1 : ga_text_character(from + at, size - at);
		if (length > 0)
			ga_buffer_append(text, from + at, length);
		else
			ga_buffer_char(text, '?');
		length = length > 0 ? length : 1;
	}
}

void show_csv(struct ga_buffer *text, const struct answers *answers)
{
	bool has_titles = false;

	for (size_t i = 0; i < answers->count; i++) {
		const struct answer *answer = &answers->list[i];
		struct ga_view rest = {answer->out, answer->size}, line;
		bool is_title = true;

		while (answer->out && rest.size > 0 && ga_view_line(&rest, &line)) {
			/* The titles once; gpualloc there made the quotes. */
			if (!is_title || !has_titles) {
				ga_buffer_format(text, "%s,",
						 is_title ? "host" : answer->host->name);
				add_harmless(text, line.text, line.size);
				ga_buffer_char(text, '\n');
			}
			has_titles = true;
			is_title = false;
		}
	}
}

void show_texts(struct ga_buffer *text, const struct answers *answers,
		const struct terminal *terminal)
{
	bool any = false;

	for (size_t i = 0; i < answers->count; i++) {
		const struct answer *answer = &answers->list[i];

		if (!answer->out || answer->size == 0)
			continue;
		ga_buffer_text(text, any ? "\n" : "");
		colour_start(text, terminal, COLOUR_BOLD);
		ga_buffer_format(text, "%s:", answer->host->name);
		colour_end(text, terminal, COLOUR_BOLD);
		ga_buffer_char(text, '\n');
		add_harmless(text, answer->out, answer->size);
		any = true;
	}
}

/* ---- JSON ---- */

void show_json(struct ga_buffer *text, const struct answers *answers)
{
	struct ga_json json = {.out = text};

	begin_document(&json, answers->call);
	ga_json_open_line(&json, "\n ", "hosts", '[');
	for (size_t i = 0; i < answers->count; i++) {
		const struct answer *answer = &answers->list[i];
		char *own = json_dumps(answer->document, JSON_COMPACT);

		ga_json_open_line(&json, "\n  ", NULL, '{');
		ga_json_text(&json, "host", answer->host->name);
		ga_json_number(&json, "status", answer->status);
		ga_json_text(&json, "error", answer->reason);
		if (own)
			ga_buffer_format(text, ", \"answer\": %s", own);
		else
			ga_json_null(&json, "answer");
		text->failed = text->failed || (answer->document && !own);
		ga_json_close(&json, '}');
		free(own);
	}
	ga_json_close(&json, ']');
	end_document(&json);
}
