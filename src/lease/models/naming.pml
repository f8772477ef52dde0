/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Naming a lease: the byte of its id says that it lives, and a record of that name says whose it
 * is. Everybody sees which bytes are locked, and may write a record of that name, if there is none,
 * before the holder does. Nobody can guess an id. Another process of the holder's user tidies up:
 * it removes records of that user whose byte it could guard, that is, was not locked.
 *
 *   first      locks an id and writes the record; if somebody else has written it:
 *   then       writes the record of a new id, THEN locks the id, THEN looks whether the record is
 *              still its own, THEN unlocks the old id; if one of these fails, it takes the next id
 *
 * Shown: a lease that has a record is never shown as somebody else's; somebody who only watches
 * cannot keep a lease from having one; and from its first lock on, the lease has a locked id.
 *
 *   -DBROKEN_ORDER    locks the new id first, too: whoever watches is always quicker
 *   -DBROKEN_CHECK    does not look again: the record may have been removed before the lock, and
 *                     somebody else's is in its place
 *   -DBROKEN_GUARD    tidies up without guarding the byte: the same happens to a lease that lives
 *   -DBROKEN_UNLOCK   unlocks the old id first: for a moment the lease seems to have ended
 */
#define IDS     3
#define NOBODY  0
#define HOLDER  1
#define WATCHER 2
#define TIDIER  3

byte lock[IDS];   /* the kernel's books */
byte record[IDS]; /* whose it is */
byte number;      /* the id that the lease has */
bool has_lease, is_named, has_ended, was_tidied;

#define IS_LIVE (lock[0] == HOLDER || lock[1] == HOLDER || lock[2] == HOLDER)

inline remove_own(id)
{
	atomic {
		if
		:: record[id] == HOLDER -> record[id] = NOBODY
		:: else
		fi
	}
}

active proctype holder()
{
	byte id;

	atomic { lock[0] = HOLDER; has_lease = true };
	atomic {
		if
		:: record[0] == NOBODY -> record[0] = HOLDER; is_named = true
		:: else
		fi
	};
	id = 1;
	do
	:: is_named || id == IDS -> break
	:: else ->
#ifdef BROKEN_ORDER
		lock[id] = HOLDER;
		if
		:: atomic { record[id] == NOBODY -> record[id] = HOLDER }
		:: record[id] != NOBODY -> lock[id] = NOBODY; id++; goto next
		fi;
#else
		record[id] = HOLDER;
		if
		:: atomic { lock[id] == NOBODY -> lock[id] = HOLDER }
		:: lock[id] != NOBODY -> remove_own(id); id++; goto next
		fi;
#endif
#ifdef BROKEN_UNLOCK
		lock[number] = NOBODY;
#endif
		if
#ifdef BROKEN_CHECK
		:: true ->
#else
		:: record[id] != HOLDER -> lock[id] = NOBODY; remove_own(id); id++
		:: record[id] == HOLDER ->
#endif
#ifndef BROKEN_UNLOCK
			lock[number] = NOBODY;
#endif
			atomic { number = id; is_named = true }
		fi;
next:
		skip
	od;
	assert(is_named || was_tidied);
	/* Here it works. */
	atomic { has_lease = false; is_named = false; has_ended = true };
	lock[number] = NOBODY
}

inline watch(id)
{
	atomic { lock[id] == HOLDER && record[id] == NOBODY -> record[id] = WATCHER }
}

active proctype watcher()
{
end:
	do
	:: watch(0)
	:: watch(1)
	:: watch(2)
	:: has_ended -> break
	od
}

inline tidy(id)
{
	record[id] == HOLDER;
#ifndef BROKEN_GUARD
	atomic { lock[id] == NOBODY -> lock[id] = TIDIER };
#endif
	remove_own(id);
	was_tidied = true;
#ifndef BROKEN_GUARD
	lock[id] = NOBODY
#endif
}

active proctype tidier()
{
end:
	do
	:: tidy(0)
	:: tidy(1)
	:: tidy(2)
	:: has_ended -> break
	od
}

active proctype witness()
{
	if
	:: assert(!is_named || record[number] == HOLDER)
	:: assert(!has_lease || IS_LIVE)
	fi
}
