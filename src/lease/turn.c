/* SPDX-License-Identifier: Apache-2.0 */
/* Turns and patience; see turn.h. */
#include "turn.h"

#include "clock.h"
#include "file.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/*
 * One second in all: 0.7 s for the first waiter, then 0.1 s, 0.05 s and so on for those whose turn
 * comes because the one before was passed over. This way a waiter that does move comes before the
 * one behind it.
 */
enum { SPAN_MS = 1000, FIRST_MS = 700, SECOND_MS = 100, HALVINGS_MOST = 7 };

/*
 * How long a look at the machine may take. We wait for waiters that say they are looking: this long
 * for all of them together, besides the patience with those that do nothing.
 */
enum { LOOKS_MS = GPUALLOC_DEADLINE_DEFAULT_MS + SPAN_MS };

void ga_view_free(struct ga_view_of_queue *view)
{
	ga_ahead_free(&view->ahead);
	ga_tickets_free(&view->tickets);
}

void ga_view_join(struct ga_view_of_queue *view, uint64_t own)
{
	ga_view_free(view);
	view->own = own;
	view->is_read = false;
}

void ga_view_begin(struct ga_view_of_queue *view)
{
	view->waits_for_turn = false;
	view->turn_ends = INT64_MAX;
}

void ga_view_forget_turns(struct ga_view_of_queue *view)
{
	view->turn_count = 0;
}

/* ---- those in front ---- */

static bool is_there(const struct ga_view_of_queue *view, uint64_t number)
{
	for (size_t i = 0; i < view->tickets.count; i++)
		if (view->tickets.list[i].number == number)
			return true;
	return false;
}

static void forget_those_gone(struct ga_view_of_queue *view)
{
	for (size_t i = 0; i < view->turn_count;)
		if (is_there(view, view->turns[i].number))
			i++;
		else
			view->turns[i] = view->turns[--view->turn_count];
}

int ga_view_refresh(struct ga_view_of_queue *view, gpualloc_error *error)
{
	int result = 0;

	if (!view->is_read) {
		ga_view_free(view);
		result = ga_ahead_read(view->store, view->own, &view->ahead, error);
		view->is_read = result == 0;
	}
	if (result == 0)
		result = ga_queue_follow(view->store, &view->ahead, &view->tickets, error);
	if (result == 0)
		forget_those_gone(view);
	return result;
}

/* ---- turns ---- */

/* Nothing is known about a process in another pid namespace. */
bool ga_turn_is_stopped_or_gone(const struct ga_ticket *ticket)
{
	char path[64], text[512];
	const char *state;
	struct stat space;

	if (ticket->pid <= 0 || stat("/proc/self/ns/pid", &space) < 0 ||
	    ticket->pidns != (int64_t)space.st_ino)
		return false;
	if (kill((pid_t)ticket->pid, 0) < 0 && errno == ESRCH)
		return true;
	(void)snprintf(path, sizeof path, "/proc/%lld/stat", (long long)ticket->pid);
	if (ga_file_peek("", path, text, sizeof text) < 0)
		return false;
	state = strrchr(text, ')');
	return state && state[1] == ' ' && (state[2] == 'T' || state[2] == 't');
}

static struct ga_turn *find_turn(struct ga_view_of_queue *view, uint64_t number)
{
	for (size_t i = 0; i < view->turn_count; i++)
		if (view->turns[i].number == number)
			return &view->turns[i];
	return NULL;
}

/* If others were passed over within the last span, it had to wait for them itself. */
static struct ga_turn new_turn(const struct ga_view_of_queue *view, uint64_t number, int64_t now)
{
	struct ga_turn turn = {number, now, now, FIRST_MS, -1};
	unsigned chain = 0;

	for (size_t i = 0; i < view->turn_count; i++) {
		const struct ga_turn *other = &view->turns[i];

		if (other->passed < 0 || now - other->passed >= SPAN_MS)
			continue;
		chain++;
		if (other->chain_since < turn.chain_since)
			turn.chain_since = other->chain_since;
	}
	if (chain > 0)
		turn.patience_ms = chain <= HALVINGS_MOST ? SECOND_MS >> (chain - 1) : 0;
	return turn;
}

static int64_t end_of(const struct ga_view_of_queue *view, const struct ga_turn *turn, int64_t now)
{
	int64_t end = turn->since + turn->patience_ms, late = turn->chain_since + LOOKS_MS;

	return now >= end && late > end && ga_ticket_is_looking(view->store, turn->number) ? late
											   : end;
}

/* A waiter that was passed over is waited for again only after the devices have been taken. */
bool ga_turn_is_missed(struct ga_view_of_queue *view, uint64_t number, bool can)
{
	struct ga_turn *turn = find_turn(view, number);
	int64_t now = ga_clock_ms(), end;

	if (!can) {
		if (turn)
			*turn = view->turns[--view->turn_count];
		return false;
	}
	if (!turn && view->turn_count == GA_TICKETS_MOST)
		return true;
	if (!turn) {
		turn = &view->turns[view->turn_count];
		*turn = new_turn(view, number, now);
		view->turn_count++;
	}
	if (turn->passed >= 0)
		return true;
	end = end_of(view, turn, now);
	if (now >= end) {
		turn->passed = now;
		return true;
	}
	view->waits_for_turn = true;
	if (end < view->turn_ends)
		view->turn_ends = end;
	return false;
}
