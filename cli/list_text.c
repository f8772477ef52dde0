/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `gpualloc list` for people: a table that is never wider than the terminal, one line a device. An
 * index is never cut. Sentences come below it, one for all devices with the same.
 */
#include "cleanup.h"
#include "columns.h"
#include "device.h"
#include "list.h"
#include "open.h"

#include <stdio.h>
#include <string.h>

enum column { GPU, NAME, STATE, MEMORY, UTIL, PROCS, USER, SINCE, WHAT, UUID, COLUMNS };
enum { GAP = 2, NAME_LEAST = 8, UUID_LEAST = 12, UUID_USUAL = 20, CELL_SIZE = 128 };
enum {
	HEX_LEAST = 8,
	REASON_LINES = 4,
	USER_USUAL = 16,
	USER_LEAST = 6,
	WHAT_USUAL = 16,
	WHAT_LEAST = 8
};

static const struct {
	const char *title;
	bool right;
} columns[] = {
	[GPU] = {"GPU", false},      [NAME] = {"NAME", false},   [STATE] = {"STATE", false},
	[MEMORY] = {"MEMORY", true}, [UTIL] = {"UTIL", true},    [PROCS] = {"PROCS", true},
	[USER] = {"USER", false},    [SINCE] = {"SINCE", false}, [WHAT] = {"COMMAND", false},
	[UUID] = {"UUID", false},
};

/* The columns that a table drops if it does not fit at all, in this order. */
static const enum column droppable[] = {UTIL, UUID, PROCS, SINCE, MEMORY, NAME, USER};

struct row {
	const gpualloc_device *device;
	size_t uuid_size; /* bytes of the UUID that tell it from every other here */
	char *reason;     /* "" if there is nothing to say */
	char *what;       /* runs there, or waits for it, or else the reason */
};

struct table {
	struct row *rows;
	size_t count;
	size_t width[COLUMNS]; /* 0 for a column that is not shown */
	const struct terminal *terminal;
};

static void table_free(struct table *table)
{
	for (size_t i = 0; table->rows && i < table->count; i++) {
		free(table->rows[i].reason);
		free(table->rows[i].what);
	}
	free(table->rows);
}

/* ---- the text of a cell ---- */

/* Used and total, in the unit that suits the larger; "" means not known. */
static void memory_cell(const gpualloc_device *device, char cell[static CELL_SIZE])
{
	static const char *const units[] = {"GiB", "TiB", "PiB"};
	int64_t total = gpualloc_device_memory_total(device);
	int64_t used = gpualloc_device_memory_used(device);
	double size = (double)(total > used ? total : used), unit = 1 << 30;
	char parts[2][32] = {"-", "-"};
	size_t u = 0;

	if (total < 0 && used < 0) {
		(void)snprintf(cell, CELL_SIZE, "-");
		return;
	}
	while (size / unit >= 1000 && u < 2) {
		unit *= 1024;
		u++;
	}
	if (used >= 0)
		(void)snprintf(parts[0], sizeof parts[0], "%.1f", (double)used / unit);
	if (total >= 0)
		(void)snprintf(parts[1], sizeof parts[1], "%.1f", (double)total / unit);
	(void)snprintf(cell, CELL_SIZE, "%s/%s %s", parts[0], parts[1], units[u]);
}

/* The shortest beginning that is unique, or both ends of the whole if there is no room for that. */
static void uuid_cell(const struct row *row, size_t room, char cell[static CELL_SIZE])
{
	const char *uuid = gpualloc_device_uuid(row->device);
	size_t whole = uuid ? strlen(uuid) : 0, tail = room / 3;

	if (!uuid) {
		(void)snprintf(cell, CELL_SIZE, "-");
		return;
	}
	(void)snprintf(cell, CELL_SIZE, "%.*s", (int)row->uuid_size, uuid);
	/* A UUID with letters outside ASCII is not a real one; it is cut like a name. */
	if (columns_of(cell) <= room || columns_of(uuid) != whole || tail >= whole)
		return;
	(void)snprintf(cell, CELL_SIZE, "%.*s\xe2\x80\xa6%s", (int)(room - 1 - tail), uuid,
		       uuid + whole - tail);
}

/* "NVIDIA " is dropped first when space is short: it tells nobody anything. */
static const char *name_cell(const gpualloc_device *device, size_t room,
			     char cell[static CELL_SIZE])
{
	static const char vendor[] = "NVIDIA ";
	const char *name = gpualloc_device_name(device), *profile = gpualloc_device_profile(device);

	if (gpualloc_device_parent(device)) {
		(void)snprintf(cell, CELL_SIZE, "  %.100s", profile ? profile : "-");
		return cell;
	}
	if (!name)
		return "-";
	if (columns_of(name) > room && strncmp(name, vendor, strlen(vendor)) == 0)
		return name + strlen(vendor);
	return name;
}

/* A GPU in MIG mode is not handed out; its instances are. */
static bool is_cut_up(const gpualloc_device *device)
{
	return gpualloc_device_mig_enabled(device) &&
	       gpualloc_device_state(device) == GPUALLOC_STATE_EXCLUDED;
}

static const char *state_cell(const gpualloc_device *device)
{
	return is_cut_up(device) ? "MIG" : gpualloc_state_name(gpualloc_device_state(device));
}

/* The text of a cell that has that much room; cell is used if the text has to be made. */
static const char *cell_of(const struct row *row, enum column column, size_t room,
			   char cell[static CELL_SIZE])
{
	const gpualloc_device *device = row->device;
	int64_t utilization = gpualloc_device_utilization(device);
	char id[ID_SIZE];

	switch (column) {
	case GPU:
		device_id(device, id);
		(void)snprintf(cell, CELL_SIZE, "%s%s", gpualloc_device_parent(device) ? "  " : "",
			       id);
		return cell;
	case NAME: return name_cell(device, room, cell);
	case STATE: return state_cell(device);
	case MEMORY: memory_cell(device, cell); return cell;
	case UTIL:
		if (utilization < 0)
			return "-";
		(void)snprintf(cell, CELL_SIZE, "%lld%%", (long long)utilization);
		return cell;
	case PROCS:
		if (!gpualloc_device_processes_known(device))
			return "-";
		(void)snprintf(cell, CELL_SIZE, "%zu", gpualloc_device_process_count(device));
		return cell;
	case UUID: uuid_cell(row, room, cell); return cell;
	case USER: return list_user(device);
	case SINCE: list_since(device, cell, CELL_SIZE); return cell;
	case WHAT: return row->what;
	default: return "";
	}
}

/* ---- rows ---- */

struct uuid_entry {
	const char *uuid;
	struct row *row;
};

static int by_uuid(const void *a, const void *b)
{
	return strcmp(((const struct uuid_entry *)a)->uuid, ((const struct uuid_entry *)b)->uuid);
}

static size_t common_size(const char *a, const char *b)
{
	size_t size = 0;

	while (a[size] && a[size] == b[size])
		size++;
	return size;
}

/* "GPU-" or "MIG-" or "MIG-GPU-" or nothing, and 8 digits. */
static size_t least_uuid(const char *uuid)
{
	size_t kind = strncmp(uuid, "MIG-GPU-", 8) == 0                                ? 8
		      : strncmp(uuid, "GPU-", 4) == 0 || strncmp(uuid, "MIG-", 4) == 0 ? 4
										       : 0;
	size_t size = strlen(uuid);

	return size < kind + HEX_LEAST ? size : kind + HEX_LEAST;
}

/* Once sorted, each UUID only has to differ from its neighbours. */
static bool shorten_uuids(struct table *table)
{
	ga_auto_free struct uuid_entry *entries = calloc(table->count + 1, sizeof *entries);
	size_t count = 0;

	if (!entries)
		return false;
	for (size_t i = 0; i < table->count; i++) {
		const char *uuid = gpualloc_device_uuid(table->rows[i].device);

		if (uuid)
			entries[count++] = (struct uuid_entry){uuid, &table->rows[i]};
	}
	qsort(entries, count, sizeof *entries, by_uuid);
	for (size_t i = 0; i < count; i++) {
		const char *uuid = entries[i].uuid;
		size_t size = least_uuid(uuid), before, after;

		before = i > 0 ? common_size(uuid, entries[i - 1].uuid) + 1 : 0;
		after = i + 1 < count ? common_size(uuid, entries[i + 1].uuid) + 1 : 0;
		size = size > before ? size : before;
		size = size > after ? size : after;
		while (size < strlen(uuid) && ((unsigned char)uuid[size] & 0xc0) == 0x80)
			size++;
		entries[i].row->uuid_size = size < strlen(uuid) ? size : strlen(uuid);
	}
	return true;
}

/* Leased, but as far as can be seen not used. */
static bool is_idle(const gpualloc_device *device)
{
	if (gpualloc_device_state(device) != GPUALLOC_STATE_LEASED ||
	    !gpualloc_device_processes_known(device) || gpualloc_device_processes_hidden(device))
		return false;
	for (size_t i = 0; i < gpualloc_device_process_count(device); i++) {
		const char *type = gpualloc_process_type(gpualloc_device_process(device, i));

		if (!type || strchr(type, 'C'))
			return false;
	}
	return true;
}

static char *reason_of_idle(const gpualloc_device *device)
{
	ga_auto_free char *reason = device_reason(device);
	char *both = NULL;

	if (!reason || asprintf(&both, "%s; nothing is running on it", reason) < 0)
		return NULL;
	return both;
}

/* What is said about a whole GPU is not repeated for each instance. */
static char *reason_to_show(const gpualloc_machine *machine, const gpualloc_device *device)
{
	const gpualloc_device *parent = gpualloc_device_parent(device);

	if (is_cut_up(device))
		return strdup(gpualloc_device_mig_count(device) ? ""
								: "in MIG mode, without an "
								  "instance");
	if (parent && !is_cut_up(parent))
		return strdup("");
	/* Nothing ever runs on a simulated machine. */
	if (!gpualloc_machine_is_simulated(machine) && is_idle(device))
		return reason_of_idle(device);
	return device_reason(device);
}

static bool add_row(struct table *table, const gpualloc_machine *machine,
		    const gpualloc_device *device)
{
	struct row *row = &table->rows[table->count];

	*row = (struct row){.device = device, .reason = reason_to_show(machine, device)};
	row->what = row->reason ? list_what(device, row->reason) : NULL;
	table->count++;
	return row->what != NULL;
}

static bool fill_rows(struct table *table, const gpualloc_machine *machine,
		      const struct list_filter *filter)
{
	size_t gpus = gpualloc_machine_device_count(machine), rows = gpus;
	bool ok = true;

	for (size_t i = 0; i < gpus; i++)
		rows += gpualloc_device_mig_count(gpualloc_machine_device(machine, i));
	table->rows = calloc(rows + 1, sizeof *table->rows);
	if (!table->rows)
		return false;
	for (size_t i = 0; ok && i < gpus; i++) {
		const gpualloc_device *device = gpualloc_machine_device(machine, i);

		if (list_shows(filter, device))
			ok = add_row(table, machine, device);
		for (size_t m = 0; ok && m < gpualloc_device_mig_count(device); m++)
			if (list_shows(filter, gpualloc_device_mig(device, m)))
				ok = add_row(table, machine, gpualloc_device_mig(device, m));
	}
	return ok && shorten_uuids(table);
}

/* ---- widths ---- */

static size_t total_width(const struct table *table)
{
	size_t total = 0;

	for (int column = 0; column < COLUMNS; column++)
		if (table->width[column])
			total += table->width[column] + (column ? GAP : 0);
	return total;
}

static size_t widest(const struct table *table, enum column column)
{
	size_t width = columns_of(columns[column].title);
	char cell[CELL_SIZE];

	for (size_t i = 0; i < table->count; i++) {
		size_t needed = columns_of(cell_of(&table->rows[i], column, SIZE_MAX / 2, cell));

		width = needed > width ? needed : width;
	}
	return width;
}

/* Makes a column narrower by as much as the table is too wide, down to least. */
static void squeeze(struct table *table, enum column column, size_t least)
{
	size_t total = total_width(table), excess, spare;

	if (total <= table->terminal->width || table->width[column] <= least)
		return;
	excess = total - table->terminal->width;
	spare = table->width[column] - least;
	table->width[column] -= excess < spare ? excess : spare;
}

static bool is_empty(const struct table *table, enum column column)
{
	char cell[CELL_SIZE];

	for (size_t i = 0; i < table->count; i++)
		if (*cell_of(&table->rows[i], column, SIZE_MAX / 2, cell))
			return false;
	return true;
}

static void drop(struct table *table, enum column column)
{
	if (total_width(table) > table->terminal->width)
		table->width[column] = 0;
}

/* Where somebody has something, that matters more than UUIDs. */
static void fit(struct table *table)
{
	for (int column = 0; column < COLUMNS; column++)
		table->width[column] = widest(table, (enum column)column);
	for (int column = USER; column <= WHAT; column++)
		if (is_empty(table, (enum column)column))
			table->width[column] = 0;
	squeeze(table, WHAT, WHAT_USUAL);
	squeeze(table, USER, USER_USUAL);
	squeeze(table, UUID, UUID_USUAL);
	if (table->width[WHAT]) {
		drop(table, UUID);
		drop(table, PROCS);
		table->width[WHAT] = widest(table, WHAT);
		squeeze(table, WHAT, WHAT_USUAL);
	}
	squeeze(table, NAME, NAME_LEAST);
	squeeze(table, UUID, UUID_LEAST);
	squeeze(table, USER, USER_LEAST);
	squeeze(table, WHAT, WHAT_LEAST);
	for (size_t i = 0; i < sizeof droppable / sizeof *droppable; i++)
		drop(table, droppable[i]);
}

/* ---- output ---- */

static enum colour colour_of(const gpualloc_device *device)
{
	if (is_cut_up(device))
		return COLOUR_NONE;
	switch (gpualloc_device_state(device)) {
	case GPUALLOC_STATE_FREE: return COLOUR_GREEN;
	case GPUALLOC_STATE_LEASED: return COLOUR_BLUE;
	case GPUALLOC_STATE_KEPT: return COLOUR_CYAN;
	case GPUALLOC_STATE_IN_USE: return COLOUR_YELLOW;
	case GPUALLOC_STATE_DRAINING: return COLOUR_YELLOW;
	case GPUALLOC_STATE_DRAINED:
	case GPUALLOC_STATE_EXCLUDED: return COLOUR_DIM;
	default: return COLOUR_RED;
	}
}

/* A line of cells, without blanks at its end. */
static void add_cells(struct ga_buffer *text, const struct table *table, const struct row *row)
{
	size_t blanks = 0;

	for (int c = 0; c < COLUMNS; c++) {
		enum column column = (enum column)c;
		enum colour colour = !row              ? COLOUR_DIM
				     : column == STATE ? colour_of(row->device)
						       : COLOUR_NONE;
		size_t width = table->width[column], used;
		char cell[CELL_SIZE];
		const char *content;

		if (!width)
			continue;
		content = row ? cell_of(row, column, width, cell) : columns[column].title;
		if (!*content) {
			blanks += GAP + width;
			continue;
		}
		used = columns_of(content) < width ? columns_of(content) : width;
		ga_buffer_repeat(text, ' ', blanks + (columns[column].right ? width - used : 0));
		colour_start(text, table->terminal, colour);
		columns_cut(text, content, width);
		colour_end(text, table->terminal, colour);
		blanks = GAP + (columns[column].right ? 0 : width - used);
	}
	ga_buffer_char(text, '\n');
}

/* ---- sentences ---- */

static bool has_same(const struct row *one, const struct row *other)
{
	return gpualloc_device_state(one->device) == gpualloc_device_state(other->device) &&
	       strcmp(one->reason, other->reason) == 0;
}

/* What the devices have that share the sentence of the i-th row; 0 if it has been said. */
static size_t gather_alike(const struct table *table, size_t i, const gpualloc_device **alike)
{
	size_t count = 0;

	for (size_t j = 0; j < table->count; j++) {
		if (!has_same(&table->rows[i], &table->rows[j]))
			continue;
		if (j < i)
			return 0;
		alike[count++] = table->rows[j].device;
	}
	return count;
}

static void add_sentence(struct ga_buffer *text, const struct table *table, const struct row *row,
			 const gpualloc_device *const *alike, size_t count)
{
	size_t size = gpualloc_device_ids(alike, count, NULL, 0) + 1;
	ga_auto_free char *ids = malloc(size);
	ga_auto_buffer struct ga_buffer words = GA_BUFFER_OUTPUT;

	if (!ids) {
		text->failed = true;
		return;
	}
	(void)gpualloc_device_ids(alike, count, ids, size);
	ga_buffer_format(&words, "%s %s %s%s%s",
			 gpualloc_device_parent(row->device) ? "MIG" : "GPU", ids,
			 state_cell(row->device),
			 gpualloc_device_state(row->device) == GPUALLOC_STATE_LEASED ||
					 gpualloc_device_state(row->device) == GPUALLOC_STATE_KEPT
				 ? " "
				 : ": ",
			 row->reason);
	text->failed = text->failed || words.failed;
	if (words.data)
		columns_wrap(text, words.data, 2, table->terminal->width, REASON_LINES);
}

static void add_sentences(struct ga_buffer *text, const struct table *table)
{
	ga_auto_free const gpualloc_device **alike = calloc(table->count + 1, sizeof *alike);
	bool any = false;

	if (!alike) {
		text->failed = true;
		return;
	}
	for (size_t i = 0; i < table->count; i++) {
		const struct row *row = &table->rows[i];
		size_t count = *row->reason ? gather_alike(table, i, alike) : 0;

		if (count == 0)
			continue;
		ga_buffer_text(text, any ? "" : "\n");
		add_sentence(text, table, row, alike, count);
		any = true;
	}
}

static void add_heading(struct ga_buffer *text, const gpualloc_machine *machine,
			const struct terminal *terminal)
{
	size_t gpus = gpualloc_machine_device_count(machine), instances = 0;
	const char *driver = gpualloc_machine_driver(machine);
	const char *source = gpualloc_machine_source(machine);
	ga_auto_buffer struct ga_buffer heading = GA_BUFFER_OUTPUT;

	for (size_t i = 0; i < gpus; i++)
		instances += gpualloc_device_mig_count(gpualloc_machine_device(machine, i));
	add_machine_name(&heading, machine);
	ga_buffer_text(&heading, ": ");
	if (gpus == 0)
		ga_buffer_text(&heading, "no GPUs");
	else
		add_count(&heading, gpus, "GPU");
	if (instances > 0) {
		ga_buffer_text(&heading, ", ");
		add_count(&heading, instances, "MIG instance");
	}
	ga_buffer_format(&heading, ", driver %s, source %s", driver ? driver : "-",
			 source ? source : "-");
	text->failed = text->failed || heading.failed;
	if (heading.failed)
		return;
	colour_start(text, terminal, COLOUR_BOLD);
	columns_cut(text, heading.data, terminal->width);
	colour_end(text, terminal, COLOUR_BOLD);
	ga_buffer_char(text, '\n');
}

void list_text(struct ga_buffer *text, const gpualloc_machine *machine,
	       const struct list_filter *filter, bool sentences, const struct terminal *terminal)
{
	ga_cleanup(table_free) struct table table = {.terminal = terminal};

	if (!fill_rows(&table, machine, filter)) {
		text->failed = true;
		return;
	}
	add_heading(text, machine, terminal);
	if (table.count == 0) {
		if (filter->user)
			ga_buffer_format(text, "%s has, uses and waits for none of them\n",
					 filter->user);
		else
			ga_buffer_text(text, "none of them is free\n");
		return;
	}
	fit(&table);
	ga_buffer_char(text, '\n');
	add_cells(text, &table, NULL);
	for (size_t i = 0; i < table.count; i++)
		add_cells(text, &table, &table.rows[i]);
	if (sentences)
		add_sentences(text, &table);
}
