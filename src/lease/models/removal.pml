/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing the store: one device, a name that stands for a ledger, and several ledgers one after
 * the other. Two processes want the device, two remove the store, and each time somebody makes a
 * new one. All may have opened a ledger long before they lock it, and a remover may be killed at
 * any step.
 *
 *   claiming   locks the device on the ledger it has open, THEN compares that with the name
 *   removing   locks all of its ledger, THEN compares it with the name, THEN removes the name, THEN
 *              unlocks
 *
 * Shown: no two have the device at once, on one ledger or on two.
 *
 *   -DBROKEN_NAME     claims do not compare: one has it on the old ledger, one on the new
 *   -DBROKEN_ORDER    claims compare first and lock afterwards: the same
 *   -DBROKEN_LATE     removals do not compare: they remove the name of a ledger in use
 *   -DBROKEN_UNLOCK   removals unlock before they remove the name: the same
 */
#define LEDGERS 3
#define NONE    0

byte name = 1;          /* the ledger that has the name; NONE: there is no store */
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
	/* The parts around the ledger went first. If killed here, it leaves a free ledger. */
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
