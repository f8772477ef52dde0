/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing the store: one device, a name that stands for a ledger, and ledgers that come one after
 * the other. Two processes want the device, two remove the store, and each time somebody makes a new one.
 * All may have opened a ledger long before they lock it, and a remover may be killed at any step.
 *
 *   claiming   locks the device on the ledger it has open, THEN compares that with the name
 *   removing   locks all of its ledger, THEN compares it with the name, THEN takes the name away,
 *              THEN unlocks
 *
 * Shown: no two have the device at once, on one ledger or on two.
 *
 *   -DBROKEN_NAME     who claims does not compare: one has it on the old ledger, one on the new
 *   -DBROKEN_ORDER    who claims compares first and locks then: the same
 *   -DBROKEN_LATE     who removes does not compare: it takes the name of a ledger in use
 *   -DBROKEN_UNLOCK   who removes unlocks before it takes the name away: the same
 */
#define LEDGERS 3
#define NONE    0

byte name = 1;          /* the ledger that is called so; NONE: there is no store */
byte newest = 1;
bool held[LEDGERS + 1]; /* the kernel's books: the device on each ledger, or all of it */
byte users;             /* the witness: who may use the device now */

#define lock(ledger, otherwise)                                                                    \
	if                                                                                         \
	:: atomic { !held[ledger] -> held[ledger] = true }                                         \
	:: held[ledger] -> goto otherwise                                                          \
	fi

#define compare(ledger)                                                                            \
	if                                                                                         \
	:: name == ledger                                                                          \
	:: else -> held[ledger] = false; goto refused                                              \
	fi

active [2] proctype claimer()
{
	byte open;

	open = name;
	if
	:: open == NONE -> goto refused
	:: else
	fi;
#ifdef BROKEN_ORDER
	if
	:: name == open
	:: else -> goto refused
	fi;
#endif
	lock(open, refused);
#if !defined(BROKEN_NAME) && !defined(BROKEN_ORDER)
	compare(open);
#endif
	users++;
	assert(users == 1);
	users--;
	held[open] = false;
refused:
	skip
}

active [2] proctype remover()
{
	byte open;

	open = name;
	if
	:: open == NONE -> goto refused
	:: else
	fi;
	lock(open, refused);
#ifndef BROKEN_LATE
	compare(open);
#endif
#ifdef BROKEN_UNLOCK
	held[open] = false;
#endif
	/* The parts around the ledger went before it. Killed here, it leaves a ledger that is free. */
	if
	:: name = NONE
	:: skip
	fi;
#ifndef BROKEN_UNLOCK
	held[open] = false;
#endif
refused:
	skip
}

active proctype maker()
{
end:
	do
	:: atomic { name == NONE && newest < LEDGERS -> newest++; name = newest }
	od
}
