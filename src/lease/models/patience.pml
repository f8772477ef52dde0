/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passed-over tickets: a device has just become free, and four processes wait for it. Each of the
 * first three takes its turn at once, or is dead (stopped, frozen, made by hand), or asks a slow
 * driver first, or is a liar that says so forever; the last takes its turn at once. Each goes by
 * its own clock, and all look at least once in each unit of time, in any order. A waiter that
 * could be served and has not moved within its patience is passed over; each process decides that
 * for itself. The first one's patience is half of the span. Each later one, whose turn comes
 * because another was passed over, gets half of the one before.
 *
 * Shown: nobody is served before an earlier one that moves; all dead ones together cost one span;
 * the ones that look get the time of one look, once for all of them together, and a liar gets no
 * more than that.
 *
 *   -DBROKEN_EACH     a whole patience for each: the dead add up
 *   -DBROKEN_AT_ONCE  all are passed over with the first: one that moves loses its turn to the next
 *   -DBROKEN_LOOK     nobody waits for one that asks a slow driver: it loses its turn
 *   -DBROKEN_LIAR     waited for as long as somebody says that they look: the device idles
 */
#define WAITERS 4
#define SPAN    15
#define SLOW    10 /* a look at a slow driver */
#define LOOK    20 /* the longest a look may take */
#define END     90

mtype = { prompt, dead, slow, liar };

mtype kind[WAITERS];
byte now;     /* since the device became free */
byte looked;  /* which of them have looked in this unit, one bit each */
byte looking; /* which of them say that they are asking the driver */
bool is_taken;

#define BIT(who) (1 << (who))

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
#define MOVES(who) (kind[who] == prompt || (kind[who] == slow && !IS_LIED(who)))
#define SOMEBODY_LOOKS \
	(IS_LIED(3) || kind[0] == slow || kind[1] == slow || kind[2] == slow)

inline check_claim()
{
	assert(now <= SPAN || (SOMEBODY_LOOKS && now <= LOOK + SPAN + SPAN + SLOW));
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
		:: now - since >= patience && (!(looking & BIT(who)) || now >= LOOK + SPAN) ->
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
	bool is_my_turn, has_begun;

	if
	:: me == 0 -> atomic { choose(0); choose(1); choose(2); kind[3] = prompt }
	:: else -> kind[3] == prompt
	fi;
	do
	:: atomic { is_taken || now >= END -> break }
	:: atomic {
		!is_taken && now < END && !(looked & BIT(me)) ->
		looked = looked | BIT(me);
		if
		:: kind[me] == dead
		:: kind[me] == liar -> looking = looking | BIT(me)
		:: else ->
			look();
			if
			:: is_my_turn && kind[me] == slow && !has_begun ->
				has_begun = true;
				begun = now;
				looking = looking | BIT(me)
			:: is_my_turn && (kind[me] == prompt || (has_begun && now - begun >= SLOW)) ->
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
