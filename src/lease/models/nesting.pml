/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases within leases: one device. Its level 0 is for processes that come from outside, level 1
 * for those inside a lease. A lease from outside is level 0 and an id byte on one description, so
 * both end in one step. Two processes inside it want the device; they know its name and need not
 * have its descriptor. Two strangers want it from outside. The outer lease may end at any moment,
 * and what was granted inside lives on.
 *
 * Anybody who can open the ledger can lock any free byte: a stranger locks the id byte of the
 * outer lease after it has ended.
 *
 *   inside    locks level 1, THEN checks that a process of its user still holds the outer lease
 *   outside   locks level 0, THEN looks at level 1; if somebody has it, the device is busy
 *
 * Shown: no two of them ever have the device at once.
 *
 *   -DRELEASED                  the outer lease is released, not closed, which takes two steps:
 *                               the id byte goes first, and no harm is done
 *   -DBROKEN_TWO_DESCRIPTIONS   device and id byte end in two steps: double grant
 *   -DBROKEN_DEEPER             outsiders do not look at level 1: double grant
 *   -DBROKEN_ORDER              insiders look at the id byte first and lock afterwards: double grant
 *   -DBROKEN_REVIVAL            insiders check that anybody holds the id byte: double grant
 */
bool level_0 = true, level_1; /* the kernel's books: locked or not */
bool outer_id = true;
bool stranger_id; /* the outer id byte, locked by somebody else */
byte users; /* the witness: how many strangers, and how many inside, may use the device now */

active proctype outer()
{
	/* Its processes leave the device to those inside; it ends at some time. */
#ifdef BROKEN_TWO_DESCRIPTIONS
	level_0 = false;
	outer_id = false
#elif defined(RELEASED)
	outer_id = false;
	level_0 = false
#else
	atomic { level_0 = false; outer_id = false }
#endif
}

active proctype stranger()
{
	atomic { !outer_id -> stranger_id = true }
}

#ifdef BROKEN_REVIVAL
#define LOOK held = outer_id || stranger_id
#else
#define LOOK held = outer_id
#endif

active [2] proctype inside()
{
	bool held;

#ifdef BROKEN_ORDER
	LOOK;
	if
	:: held
	:: else -> goto refused
	fi;
#endif
	if
	:: atomic { !level_1 -> level_1 = true }
	:: level_1 -> goto refused
	fi;
#ifndef BROKEN_ORDER
	LOOK;
	if
	:: held
	:: else -> level_1 = false; goto refused
	fi;
#endif
	users++;
	assert(users == 1);
	users--;
	level_1 = false;
refused:
	skip
}

active [2] proctype outside()
{
	if
	:: atomic { !level_0 -> level_0 = true }
	:: level_0 -> goto refused
	fi;
#ifndef BROKEN_DEEPER
	if
	:: !level_1
	:: level_1 -> level_0 = false; goto refused
	fi;
#endif
	users++;
	assert(users == 1);
	users--;
	level_0 = false;
refused:
	skip
}
