/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passed-over tickets: a device has just become free, and four processes wait for it. Each of the
 * first three takes its turn at once, or is dead (stopped, frozen, made by hand), or asks a slow
 * driver first, or is a liar that says so forever. The last takes its turn at once. It is in the
 * queue from the start, or comes later and will not wait in it. Each goes by its own clock, and all
 * look at least once in each unit of time, in any order. A waiter that could be served and has not
 * moved within its patience is passed over; each process decides that for itself. The first one's patience is half of the span. Each later one, whose turn comes
 * because another was passed over, gets half of the one before.
 *
 * Shown: nobody is served before an earlier one that moves; all dead ones together cost one span;
 * the ones that look get the time of one look, once for all of them together, and a liar gets no
 * more than that; and who comes later and will not wait gets the device all the same.
 *
 *   -DBROKEN_EACH     a whole patience for each: the dead add up
 *   -DBROKEN_AT_ONCE  all are passed over with the first: one that moves loses its turn to the next
 *   -DBROKEN_LOOK     nobody waits for one that asks a slow driver: it loses its turn
 *   -DBROKEN_LIAR     waited for as long as somebody says that they look: the device idles
 *   -DBROKEN_HURRY    who will not wait is less patient with those that look: behind a liar, one
 *                     that moves loses its turn to it
 *   -DBROKEN_REFUSAL  who will not wait goes away at once: the device idles
 */
#define WAITERS 4
#define SPAN    15
#define SLOW    10 /* a look at a slow driver */
#define LOOK    20 /* the longest a look may take */
#define END     90

mtype = { prompt, dead, slow, liar, late };

mtype kind[WAITERS];
byte now;     /* since the device became free */
byte came;    /* when the last one did */
byte looked;  /* which of them have looked in this unit, one bit each */
byte looking; /* which of them say that they are asking the driver */
bool is_taken;

#define BIT(who) (1 << (who))
#ifdef BROKEN_HURRY
#define LOOKS (kind[me] == late -> SPAN : LOOK + SPAN)
#else
#define LOOKS (LOOK + SPAN)
#endif

inline choose(who)
{
	if
	:: kind[who] = prompt
	:: kind[who] = dead
	:: kind[who] = slow
	:: kind[who] = liar
	fi
}

/* A liar in front uses up all patience with looks, so a slow one behind it gets none. */
#define IS_LIED(who) \
	(((who) > 0 && kind[0] == liar) || ((who) > 1 && kind[1] == liar) || \
	 ((who) > 2 && kind[2] == liar))
/* By its own clock. */
#define MY_TIME (now - (me == WAITERS - 1 -> came : 0))
#define MOVES(who) (kind[who] == prompt || (kind[who] == slow && !IS_LIED(who)))
#define SOMEBODY_LOOKS \
	(IS_LIED(3) || kind[0] == slow || kind[1] == slow || kind[2] == slow)

inline check_claim()
{
	assert(MY_TIME <= SPAN || (SOMEBODY_LOOKS && MY_TIME <= LOOK + SPAN + SPAN + SLOW));
	assert(me == 0 || !MOVES(0));
	assert(me <= 1 || !MOVES(1));
	assert(me <= 2 || !MOVES(2))
}

/* Goes through those in front until it finds one that may still take its turn. */
inline look()
{
	who = 0;
	do
	:: who < me && (passed & BIT(who)) -> who++
	:: who < me && !(passed & BIT(who)) ->
		if
		:: !(seen & BIT(who)) ->
			seen = seen | BIT(who);
			since = now;
			patience = (chain == 0 -> 8 : (chain == 1 -> 4 : (chain == 2 -> 2 : 1)))
		:: else
		fi;
#ifdef BROKEN_EACH
		patience = 8;
#endif
		if
#ifdef BROKEN_AT_ONCE
		:: now - since >= patience -> passed = BIT(WAITERS) - 1
#endif
#ifdef BROKEN_LIAR
		:: now - since >= patience && !(looking & BIT(who)) ->
#elif defined(BROKEN_LOOK)
		:: now - since >= patience ->
#else
		:: now - since >= patience && (!(looking & BIT(who)) || MY_TIME >= LOOKS) ->
#endif
			passed = passed | BIT(who);
			chain++;
			who++
		:: else -> break
		fi
	:: who == me -> break
	od;
	is_my_turn = (who == me)
}

active [WAITERS] proctype waiter()
{
	byte me = _pid, who, seen, passed, since, patience, chain, begun;
	bool is_my_turn, has_begun, is_here = true;

	if
	:: me == 0 ->
		atomic {
			choose(0);
			choose(1);
			choose(2);
			if
			:: kind[3] = prompt
			:: kind[3] = late
			fi
		}
	:: else -> kind[3] != 0
	fi;
	is_here = (kind[me] != late);
	do
	:: atomic { is_taken || now >= END -> break }
	:: atomic {
		!is_taken && now < END && !(looked & BIT(me)) ->
		looked = looked | BIT(me);
		if
		:: kind[me] == dead
		:: kind[me] == liar -> looking = looking | BIT(me)
		:: !is_here && now < LOOK -> skip
		:: kind[me] != dead && kind[me] != liar ->
			came = (is_here -> came : now);
			is_here = true;
			look();
			if
			:: is_my_turn && kind[me] == slow && !has_begun ->
				has_begun = true;
				begun = now;
				looking = looking | BIT(me)
#ifdef BROKEN_REFUSAL
			:: !is_my_turn && kind[me] == late -> kind[me] = dead
#endif
			:: is_my_turn && (kind[me] == prompt || kind[me] == late ||
					  (has_begun && now - begun >= SLOW)) ->
				check_claim();
				is_taken = true
			:: else
			fi
		fi
	}
	od
}

active proctype clock()
{
	do
	:: atomic { is_taken -> break }
	:: atomic {
		!is_taken && looked == BIT(WAITERS) - 1 ->
		looked = 0;
		now++;
		assert(now < END)
	}
	od
}
