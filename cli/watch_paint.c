/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The picture of list --watch: a line a device, then who waits, never wider or higher than the
 * window. It is written from the corner over the one before, so nothing flickers; only sequences of
 * ECMA-48 that every terminal, tmux and screen have known for decades.
 */
#include "columns.h"
#include "elapsed.h"
#include "terminal.h"
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COLUMNS_LEAST = 60, LINES_LEAST = 8, WIDE = 110, WAITERS_MOST = 6 };
enum { ID = 8, STATE = 9, MEMORY = 10, PERCENT = 4, USER = 8, SINCE = 6 };

/* How wide the drawn columns are. */
struct shape {
	size_t bar, spark;
};

static struct shape shape_of(const struct watch_picture *picture)
{
	return picture->columns >= WIDE ? (struct shape){10, 30} : (struct shape){4, 10};
}

/* ---- bars and histories ---- */

static const char *const blocks[] = {" ",
				     "\xe2\x96\x81",
				     "\xe2\x96\x82",
				     "\xe2\x96\x83",
				     "\xe2\x96\x84",
				     "\xe2\x96\x85",
				     "\xe2\x96\x86",
				     "\xe2\x96\x87",
				     "\xe2\x96\x88"};
static const char *const signs[] = {" ", ".", ".", ":", ":", "-", "=", "+", "#"};
enum { LEVELS = 8 };

static void add_bar(struct ga_buffer *text, const struct watch_picture *picture, int64_t part,
		    int64_t whole, size_t width)
{
	size_t full = part > 0 && whole > 0 ? (size_t)(part * (int64_t)width / whole) : 0;

	/* Even a little is something. */
	full = part > 0 && full == 0 ? 1 : full > width ? width : full;
	if (part < 0 || whole <= 0) {
		ga_buffer_repeat(text, ' ', width);
		return;
	}
	for (size_t i = 0; i < width; i++)
		ga_buffer_text(text, i < full         ? picture->plain ? "#" : "\xe2\x96\x88"
				     : picture->plain ? "."
						      : "\xe2\x96\x91");
}

static const struct watch_history *history_of(const struct watch_picture *picture, const char *id)
{
	for (size_t i = 0; i < picture->history_count; i++)
		if (strcmp(picture->histories[i].id, id) == 0)
			return &picture->histories[i];
	return NULL;
}

/* The mean of what is known of a part of the minute; -1 if nothing is. */
static int mean_of(const struct watch_history *history, size_t from, size_t count)
{
	int sum = 0, known = 0;

	for (size_t i = from; i < from + count; i++) {
		sum += history->percent[i] >= 0 ? history->percent[i] : 0;
		known += history->percent[i] >= 0;
	}
	return known > 0 ? sum / known : -1;
}

static void add_spark(struct ga_buffer *text, const struct watch_picture *picture,
		      const struct watch_row *row, size_t width)
{
	const struct watch_history *history = history_of(picture, row->id);
	size_t each = WATCH_HISTORY / width;

	for (size_t i = 0; i < width; i++) {
		int percent = history ? mean_of(history, i * each, each) : -1;
		int level = percent <= 0 ? percent + 1 : 1 + percent * (LEVELS - 1) / 100;

		if (percent < 0)
			level = 0;
		ga_buffer_text(text, picture->plain ? signs[level] : blocks[level]);
	}
}

/* ---- cells ---- */

static enum colour colour_of(const char *state)
{
	static const struct {
		const char *state;
		enum colour colour;
	} colours[] = {{"free", COLOUR_GREEN},     {"leased", COLOUR_CYAN},
		       {"in-use", COLOUR_YELLOW},  {"intruder", COLOUR_RED},
		       {"unhealthy", COLOUR_RED},  {"kept", COLOUR_BLUE},
		       {"draining", COLOUR_YELLOW}};

	for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
		if (strcmp(colours[i].state, state) == 0)
			return colours[i].colour;
	return COLOUR_DIM;
}

static void add_state(struct ga_buffer *text, const struct watch_picture *picture,
		      const struct watch_row *row)
{
	struct terminal terminal = {.colour = picture->colour};

	colour_start(text, &terminal, colour_of(row->state));
	columns_left(text, row->state, STATE);
	colour_end(text, &terminal, colour_of(row->state));
}

static void add_memory(struct ga_buffer *text, const struct watch_row *row)
{
	char cell[32] = "-";

	if (row->used >= 0 && row->total >= 0)
		(void)snprintf(cell, sizeof cell, "%.1f/%.0fG", (double)row->used / (1 << 30),
			       (double)row->total / (1 << 30));
	else if (row->total >= 0)
		(void)snprintf(cell, sizeof cell, "-/%.0fG", (double)row->total / (1 << 30));
	columns_right(text, cell, MEMORY);
}

static void add_percent(struct ga_buffer *text, const struct watch_row *row)
{
	char cell[16] = "-";

	if (row->utilization >= 0)
		(void)snprintf(cell, sizeof cell, "%d%%", (int)row->utilization);
	columns_right(text, cell, PERCENT);
}

static void add_since(struct ga_buffer *text, int64_t since)
{
	ga_auto_buffer struct ga_buffer words = GA_BUFFER_OUTPUT;
	int64_t seconds = (int64_t)time(NULL) - since;

	if (since < 0)
		ga_buffer_text(&words, "-");
	else if (seconds < 60)
		ga_buffer_format(&words, "%llds", seconds > 0 ? (long long)seconds : 0);
	else if (seconds < 3600)
		ga_buffer_format(&words, "%lldm", (long long)seconds / 60);
	else if (seconds < 48 * 3600)
		ga_buffer_format(&words, "%lldh%02lld", (long long)seconds / 3600,
				 (long long)seconds / 60 % 60);
	else
		ga_buffer_format(&words, "%lldd", (long long)seconds / 86400);
	columns_right(text, words.data ? words.data : "", SINCE);
}

static void end_line(struct ga_buffer *text)
{
	ga_buffer_text(text, "\033[K\r\n");
}

static size_t room_for_what(const struct watch_picture *picture)
{
	struct shape shape = shape_of(picture);
	size_t before =
		ID + STATE + 2 * shape.bar + PERCENT + MEMORY + shape.spark + USER + SINCE + 7;

	return picture->columns > before + 4 ? picture->columns - before - 1 : 4;
}

static void add_row(struct ga_buffer *text, const struct watch_picture *picture,
		    const struct watch_row *row)
{
	struct shape shape = shape_of(picture);
	char id[sizeof row->id + 1];

	(void)snprintf(id, sizeof id, "%s%s", row->is_instance ? " " : "", row->id);
	columns_left(text, id, ID);
	add_state(text, picture, row);
	ga_buffer_char(text, ' ');
	add_bar(text, picture, row->utilization, 100, shape.bar);
	add_percent(text, row);
	ga_buffer_char(text, ' ');
	add_spark(text, picture, row, shape.spark);
	ga_buffer_char(text, ' ');
	add_bar(text, picture, row->used, row->total, shape.bar);
	add_memory(text, row);
	ga_buffer_char(text, ' ');
	columns_left(text, *row->user ? row->user : "-", USER);
	add_since(text, row->since);
	ga_buffer_char(text, ' ');
	columns_cut(text, row->what, room_for_what(picture));
	end_line(text);
}

static void add_heading(struct ga_buffer *text, const struct watch_picture *picture)
{
	struct terminal terminal = {.colour = picture->colour};
	struct shape shape = shape_of(picture);

	colour_start(text, &terminal, COLOUR_BOLD);
	columns_left(text, "GPU", ID);
	columns_left(text, "STATE", STATE + 1);
	columns_left(text, shape.bar > 4 ? "UTILIZATION" : "UTIL", shape.bar + PERCENT + 1);
	columns_left(text, shape.spark > 10 ? "LAST MINUTE" : "1 MINUTE", shape.spark + 1);
	columns_left(text, "MEMORY", shape.bar + MEMORY + 1);
	columns_left(text, "USER", USER);
	columns_right(text, "FOR", SINCE);
	ga_buffer_char(text, ' ');
	columns_cut(text, "COMMAND", room_for_what(picture));
	colour_end(text, &terminal, COLOUR_BOLD);
	end_line(text);
}

/* ---- order ---- */

/* Instances stand under their GPU only in the order of the machine, which decides between equals.
 */
static int compare(const struct watch_row *a, const struct watch_row *b, enum watch_order order)
{
	int64_t by = order == ORDER_UTILIZATION ? (int64_t)b->utilization - a->utilization
		     : order == ORDER_MEMORY    ? b->used - a->used
		     : order == ORDER_USER
			     ? strcmp(*a->user ? a->user : "\xff", *b->user ? b->user : "\xff")
		     : order == ORDER_STATE ? strcmp(a->state, b->state)
					    : 0;

	by = by ? by : (int64_t)a->place - b->place;
	return by < 0 ? -1 : by > 0;
}

/* By insertion: from one picture to the next little changes its place. */
static void sort(struct watch_row *rows, size_t count, enum watch_order order)
{
	for (size_t i = 1; i < count; i++) {
		struct watch_row row = rows[i];
		size_t at = i;

		for (; at > 0 && compare(&rows[at - 1], &row, order) > 0; at--)
			rows[at] = rows[at - 1];
		rows[at] = row;
	}
}

/* ---- the parts of the screen ---- */

static void add_line(struct ga_buffer *text, const struct watch_picture *picture, const char *line)
{
	columns_cut(text, line, picture->columns - 1);
	end_line(text);
}

static void add_title(struct ga_buffer *text, const struct watch_picture *picture)
{
	ga_auto_buffer struct ga_buffer line = GA_BUFFER_OUTPUT;
	time_t now = time(NULL);
	struct tm local;
	char clock[16] = "";

	if (localtime_r(&now, &local))
		(void)strftime(clock, sizeof clock, "%H:%M:%S", &local);
	ga_buffer_format(&line, "%s  gpualloc", clock);
	if (picture->head && !*picture->head->trouble)
		ga_buffer_format(&line, "  %s: %u GPU%s, %u free", picture->head->machine,
				 picture->head->gpus, picture->head->gpus == 1 ? "" : "s",
				 picture->head->free);
	if (picture->silent_ms > 0) {
		ga_buffer_text(&line, "  driver silent for ");
		elapsed_words(&line, picture->silent_ms);
	}
	if (!line.failed)
		add_line(text, picture, line.data);
}

static void add_help(struct ga_buffer *text, const struct watch_picture *picture)
{
	static const char *const lines[] = {
		"",
		"q, Ctrl-C       end",
		"i               in the order of the machine",
		"u, m            the busiest, the fullest first",
		"n, s            by user name, by state",
		"up, down, j, k  scroll by a line; PgUp, PgDn by a page; g, G to the ends",
		"blank           ask the driver now",
		"?, h            this, and back",
		"",
		"The column of the last minute shows utilization, the newest on the right.",
	};

	for (size_t i = 0; i < sizeof lines / sizeof *lines && i + 3 < picture->lines; i++)
		add_line(text, picture, lines[i]);
}

static size_t waiting_lines(const struct watch_picture *picture)
{
	size_t count = picture->head->waiters;

	return count == 0 ? 0 : 1 + (count < WAITERS_MOST ? count : WAITERS_MOST);
}

static void add_waiting(struct ga_buffer *text, const struct watch_picture *picture, size_t room)
{
	size_t count = picture->head->waiters, shown = room > 0 ? room - 1 : 0;
	ga_auto_buffer struct ga_buffer line = GA_BUFFER_OUTPUT;

	if (room == 0)
		return;
	ga_buffer_format(&line, "WAITING: %zu%s", count,
			 count > shown ? ", the next ones are" : "");
	if (!line.failed)
		add_line(text, picture, line.data);
	for (size_t i = 0; i < shown && i < count; i++) {
		columns_left(text, picture->waiters[i].user, USER);
		add_since(text, picture->waiters[i].since);
		ga_buffer_char(text, ' ');
		columns_cut(text, picture->waiters[i].what, picture->columns - USER - SINCE - 2);
		end_line(text);
	}
}

static void add_foot(struct ga_buffer *text, const struct watch_picture *picture, size_t shown)
{
	static const char *const orders[ORDERS] = {"machine", "utilization", "memory", "user",
						   "state"};
	ga_auto_buffer struct ga_buffer line = GA_BUFFER_OUTPUT;

	ga_buffer_format(&line, "q end  ? help  i u m n s: by %s", orders[picture->order]);
	if (picture->head && shown > 0 && shown < picture->head->rows)
		ga_buffer_format(&line, "  %zu-%zu of %u, scroll with the arrows",
				 picture->scroll + 1, picture->scroll + shown, picture->head->rows);
	if (!line.failed)
		columns_cut(text, line.data, picture->columns - 1);
	ga_buffer_text(text, "\033[K");
}

static size_t add_rows(struct ga_buffer *text, struct watch_picture *picture)
{
	size_t waiting = waiting_lines(picture), count = picture->head->rows;
	size_t room = picture->lines - 3, rows;

	waiting = waiting > room / 2 ? room / 2 : waiting;
	room -= waiting;
	if (picture->scroll + room > count)
		picture->scroll = count > room ? count - room : 0;
	rows = count - picture->scroll < room ? count - picture->scroll : room;
	add_heading(text, picture);
	sort(picture->rows, count, picture->order);
	for (size_t i = 0; i < rows; i++)
		add_row(text, picture, &picture->rows[picture->scroll + i]);
	add_waiting(text, picture, waiting);
	return rows;
}

static void add_trouble(struct ga_buffer *text, const struct watch_picture *picture)
{
	ga_buffer_text(text, "\033[J");
	columns_wrap(text, picture->head->trouble, 0, picture->columns - 1, picture->lines - 3);
}

static void add_body(struct ga_buffer *text, struct watch_picture *picture, size_t *ret_rows)
{
	add_title(text, picture);
	if (picture->help)
		add_help(text, picture);
	else if (!picture->head)
		add_line(text, picture, "asking the driver for the first time");
	else if (*picture->head->trouble)
		add_trouble(text, picture);
	else
		*ret_rows = add_rows(text, picture);
	/* The last line is the foot, wherever the others end. */
	ga_buffer_format(text, "\033[J\033[%zu;1H", picture->lines);
	add_foot(text, picture, *ret_rows);
}

/* What a terminal without UTF-8 would show as rubbish. */
static void make_plain(char *text)
{
	char *to = text;

	for (const char *at = text; *at; at++) {
		if (((unsigned char)*at & 0xc0) == 0x80)
			continue;
		*to++ = (unsigned char)*at < 0x80             ? *at
			: strncmp(at, "\xe2\x80\xa6", 3) == 0 ? '~'
							      : '?';
	}
	*to = '\0';
}

size_t watch_paint(struct ga_buffer *text, struct watch_picture *picture)
{
	size_t rows = 0;

	ga_buffer_text(text, "\033[H");
	if (picture->columns < COLUMNS_LEAST || picture->lines < LINES_LEAST) {
		ga_buffer_format(text, "too small: %dx%d at least\033[K\033[J", COLUMNS_LEAST,
				 LINES_LEAST);
		return 0;
	}
	add_body(text, picture, &rows);
	if (picture->plain && !text->failed) {
		make_plain(text->data);
		text->size = strlen(text->data);
	}
	return rows;
}
