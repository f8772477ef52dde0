/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The budgets of a GPU and the instances into which somebody cuts it have no byte in common, so
 * that several budgets can be held at once, and several instances too, but never a budget beside
 * an instance. Two processes want a budget of the whole GPU. One wants a budget inside a lease
 * that may end at any moment (it locks level 1 and then checks that the outer lease lives; it
 * looks at nothing else on level 0). Two want an instance each.
 *
 *   each    locks its own bytes, THEN looks for the other kind, level 0 first and then level 1;
 *           if anybody has some of it, it lets go
 *
 * Shown: a budget and an instance are never held at once.
 *
 *   -DBROKEN_ORDER    looks first and locks afterwards: both are held
 *   -DBROKEN_LOOK     instances do not look, as if the budgets' look were enough: both are held
 *   -DBROKEN_DEEPER   instances do not look at level 1: a budget outlives the lease around it
 *   -DBROKEN_UPWARDS  instances look at level 1 first and level 0 afterwards: a budget slips in between
 */
bool outer = true; /* the lease around: a budget on level 0, and its id */
bool budget[2], inner, instance[2]; /* the kernel's books */
byte budgets, instances; /* the witness: how many are held now */

#define SOME_INSTANCE (instance[0] || instance[1])
#define SOME_BUDGET (budget[0] || budget[1] || outer)

inline have_budget()
{
	budgets++;
	assert(instances == 0);
	budgets--
}

active proctype around()
{
	outer = false /* it ends; what was granted inside lives on */
}

active [2] proctype a_budget()
{
	byte me = _pid - 1;

#ifdef BROKEN_ORDER
	if
	:: SOME_INSTANCE -> goto refused
	:: else
	fi;
	budget[me] = true;
#else
	budget[me] = true;
	if
	:: SOME_INSTANCE -> budget[me] = false; goto refused
	:: else
	fi;
#endif
	have_budget();
	budget[me] = false;
refused:
	skip
}

active proctype a_budget_inside()
{
	inner = true;
	if
	:: outer
	:: else -> inner = false; goto refused
	fi;
	have_budget();
	inner = false;
refused:
	skip
}

active [2] proctype an_instance()
{
	byte me = _pid - 4;

#ifndef BROKEN_ORDER
	instance[me] = true;
#endif
#ifdef BROKEN_UPWARDS
	if
	:: inner -> goto refused
	:: else
	fi;
#endif
#ifndef BROKEN_LOOK
	if
	:: SOME_BUDGET -> goto refused
	:: else
	fi;
#if !defined(BROKEN_DEEPER) && !defined(BROKEN_UPWARDS)
	if
	:: inner -> goto refused
	:: else
	fi;
#endif
#endif
	instance[me] = true;
	instances++;
	assert(budgets == 0);
	instances--;
refused:
	instance[me] = false
}
