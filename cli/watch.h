/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list --watch, in three processes. The guard owns the terminal and puts it back however the other
 * two end. The painter reads keys and paints. The asker asks the driver and the store again and
 * again, so that a driver that hangs only makes the painter say so.
 */
#ifndef CLI_WATCH_H
#define CLI_WATCH_H

#include "buffer.h"
#include "command.h"

#include <stdint.h>

/* The guard: from the start of the screen to its end. Returns the exit status. */
int watch(const struct call *call);

/* ---- between the asker and the painter ---- */

struct watch_row {
	char id[32], state[16], user[32], what[128];
	int64_t used, total, since; /* -1: unknown */
	int32_t utilization;        /* -1: unknown */
	int32_t is_instance;
	uint32_t place; /* in the order of the machine */
};

struct watch_waiter {
	char user[32], what[128];
	int64_t since;
};

/* What the asker answers; the rows and then the waiters follow. */
struct watch_head {
	char machine[64], trouble[256]; /* with trouble there are no rows */
	uint32_t rows, waiters;
	uint32_t gpus, free;
};

/* Limits for what is believed to be an answer. */
enum { WATCH_ROWS_MOST = 1 << 14 };

/* The asker, in a process of its own: answers each byte that it reads, until there is none. */
_Noreturn void watch_ask(const struct call *call, int from, int to);

/* ---- the picture ---- */

enum { WATCH_HISTORY = 60 };

/* The last minute of a device, second by second, the newest last; -1: unknown. */
struct watch_history {
	char id[32];
	int8_t percent[WATCH_HISTORY];
};

enum watch_order { ORDER_INDEX, ORDER_UTILIZATION, ORDER_MEMORY, ORDER_USER, ORDER_STATE, ORDERS };

struct watch_picture {
	const struct watch_head *head; /* NULL before the first answer */
	struct watch_row *rows;        /* put into order by painting them */
	const struct watch_waiter *waiters;
	const struct watch_history *histories;
	size_t history_count;
	enum watch_order order;
	size_t scroll; /* rows above the window */
	bool help;
	bool plain; /* no UTF-8 */
	bool colour;
	size_t columns, lines;
	int64_t silent_ms; /* for how long the driver has owed an answer */
	int64_t interval_ms;
};

/* The whole screen, from its upper left corner. Returns how many rows fit, for scrolling. */
size_t watch_paint(struct ga_buffer *text, struct watch_picture *picture);

/* The painter. Returns the exit status. */
int watch_screen(const struct call *call, int64_t interval_ms);

#endif
