/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting in order: process 0 wants both devices once; processes 1 and 2 want one each, again and
 * again. Everybody takes a ticket with the next number, under the arbiter, and leaves alone what
 * an earlier live ticket could use. Process 0 may be killed while it waits, or stopped, and
 * perhaps continued. If everything it wants was free and it did not take it, nothing is kept for
 * it until it moves again, but it keeps its place. (We wait longer before deciding "it did not"
 * than a running process needs; so here only a stopped one can miss its turn.)
 *
 * Shown: the numbers give one order; nobody is granted before an earlier one that never stopped;
 * process 0 gets its turn against the stream of small requests unless it is killed or stopped for
 * good (large_is_served); process 1 is always served again, whatever happens to process 0
 * (small_is_served).
 *
 *   -DBROKEN_KEEP     kept for the stopped as well: the machine idles (small_is_served)
 *   -DBROKEN_BARGE    newcomers do not look at the queue: process 0 starves (large_is_served)
 *   -DBROKEN_NUMBER   the next number is found and taken in two steps: no order
 */
#define PROCESSES 3

byte held;                    /* the kernel's books, a bit a device */
byte waiting;                 /* live tickets, a bit a process */
byte ahead[PROCESSES];        /* those with lower numbers than its own */
bool is_stopped, was_stopped; /* process 0 */
bool is_missed;               /* it could have claimed, but did not */
bool is_killed, is_served;    /* process 0 */
bool has_1;                   /* process 1 has its device */

#define WANT(who) ((who) == 0 -> 3 : (who))
#define BIT(who)  (1 << (who))
#define IS_AHEAD(who) (waiting & ahead[_pid] & BIT(who))

/* An earlier ticket for which something that I want is kept. */
#define KEPT_BY(who) \
	((who) != _pid && IS_AHEAD(who) && (WANT(who) & WANT(_pid)) && !((who) == 0 && is_missed))

#ifdef BROKEN_BARGE
#define FREE_FOR_ME (!(held & WANT(_pid)) && (_pid != 0 || !(KEPT_BY(1) || KEPT_BY(2))))
#else
#define FREE_FOR_ME (!(held & WANT(_pid)) && !(KEPT_BY(0) || KEPT_BY(1) || KEPT_BY(2)))
#endif

#define ORDERED(a, b) \
	(!(waiting & BIT(a)) || !(waiting & BIT(b)) || \
	 ((ahead[a] >> (b)) & 1) + ((ahead[b] >> (a)) & 1) == 1)

inline take_ticket()
{
#ifdef BROKEN_NUMBER
	seen = waiting;
	d_step {
#else
	d_step {
		seen = waiting;
#endif
		ahead[_pid] = seen;
		ahead[0] = ahead[0] & ~BIT(_pid);
		ahead[1] = ahead[1] & ~BIT(_pid);
		ahead[2] = ahead[2] & ~BIT(_pid);
		waiting = waiting | BIT(_pid);
		seen = 0;
		assert(ORDERED(0, 1) && ORDERED(0, 2) && ORDERED(1, 2))
	}
}

/* Choice and claim are one step under the arbiter. */
inline claim()
{
	held = held | WANT(_pid);
	waiting = waiting & ~BIT(_pid);
#ifndef BROKEN_BARGE
	assert(_pid == 0 || !IS_AHEAD(0) || was_stopped)
#endif
}

active proctype large()
{
	byte seen;

	take_ticket();
	do
	:: atomic { is_killed -> break }
	:: atomic { !is_stopped && FREE_FOR_ME -> claim(); is_missed = false; is_served = true; break }
	:: atomic { !is_stopped && is_missed && !FREE_FOR_ME -> is_missed = false }
	od;
	atomic {
		waiting = waiting & ~BIT(0);
		held = (is_served -> 0 : held)
	}
}

active [2] proctype small()
{
	byte seen;

	do
	:: true ->
		take_ticket();
		do
		:: atomic { FREE_FOR_ME -> claim(); has_1 = has_1 || _pid == 1; break }
#ifndef BROKEN_KEEP
		/* What it wanted was free, and it did not move. */
		:: atomic { is_stopped && !is_missed && !held -> is_missed = true }
#endif
		od;
		atomic {
			held = held & ~WANT(_pid);
			has_1 = has_1 && _pid != 1
		}
	od
}

active proctype fate()
{
	if
	:: is_killed = true
	:: atomic { is_stopped = true; was_stopped = true };
		if
		:: is_stopped = false
		:: is_killed = true
		:: skip
		fi
	:: skip
	fi
}

ltl large_is_served { <> (is_served || is_killed) || <> [] is_stopped }
ltl small_is_served { [] <> has_1 }
