/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose turn it is, as one process sees the queue. The waiters in front are listed once, because
 * nobody can come in between later. Each ticket is read once, because its owner must not change
 * what it asks for. A ticket that could be served and does not move is passed over after a while,
 * and all such tickets together cost one second.
 */
#ifndef GA_LEASE_TURN_H
#define GA_LEASE_TURN_H

#include "queue.h"

/* Longer than our patience with all of them can last, looks at a slow driver included. */
enum { GA_TURNS_MS = 2 * GPUALLOC_DEADLINE_DEFAULT_MS };

struct ga_turn {
	uint64_t number;
	int64_t since; /* when it could first be served; all times here are by our own clock */
	int64_t chain_since; /* the same for the first of those passed over just before it */
	int64_t patience_ms;
	int64_t passed; /* when it was passed over; -1: never */
};

struct ga_view_of_queue {
	const struct ga_store *store;
	uint64_t own; /* our own ticket; 0: we are not in the queue */
	bool is_read;
	struct ga_ahead ahead;     /* the numbers in front of ours */
	struct ga_tickets tickets; /* those of them that are alive and count */
	struct ga_turn turns[GA_TICKETS_MOST];
	size_t turn_count;
	bool waits_for_turn; /* somebody could be served at any moment, */
	int64_t turn_ends;   /* and when our patience with the first of them ends */
};

void ga_view_free(struct ga_view_of_queue *view);
/* From now on we own this ticket; what we have seen of others stays. */
void ga_view_join(struct ga_view_of_queue *view, uint64_t own);
/* Looks which tickets are still there. */
int ga_view_refresh(struct ga_view_of_queue *view, gpualloc_error *error);
/* Called before each look: we are not waiting for anybody yet. */
void ga_view_begin(struct ga_view_of_queue *view);
/* Nobody could be served, so nobody has missed a turn, and patience starts afresh. */
void ga_view_forget_turns(struct ga_view_of_queue *view);

/*
 * Called for each ticket in order, with whether it could be served. True if it has not moved for so
 * long that it is passed over; until then it sets waits_for_turn.
 */
bool ga_turn_is_missed(struct ga_view_of_queue *view, uint64_t number, bool can);

/* Whether its process will clearly not take its turn: stopped, or gone. */
bool ga_turn_is_stopped_or_gone(const struct ga_ticket *ticket);

#endif
