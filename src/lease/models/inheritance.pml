/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inheritance: a lease lives as long as some process, or a message on its way, has its
 * descriptor. A keeper has it; it ends at its time or is killed. A supervisor asks the keeper for
 * a copy. The copy comes in a message, which the kernel holds until then and drops when the
 * socket is closed. The supervisor asks the driver in a child: the fork copies everything that is
 * open, the child closes that first, and may then hang in the driver forever. The supervisor
 * starts a job, which may close what it inherited, as some programs do, and lets go when the job
 * has ended. The supervisor may be killed until it has a job.
 *
 * Shown: while the job works the lease lives (the assertion); when keeper, supervisor and job
 * have ended it does not, whatever the driver does (it_ends).
 *
 *   -DBROKEN_QUERY       the child that asks the driver keeps what it inherited: the lease never ends
 *   -DBROKEN_JOIN        the supervisor knows the lease by name and has no copy: work without a lease
 *   -DBROKEN_SUPERVISOR  it lets go once the job runs: the same, if the job closes its own
 *   -DBROKEN_MESSAGE     a child keeps the dead supervisor's socket open: the lease never ends
 */
bool keeper_has, message_has, supervisor_has, child_has, job_has; /* the kernel's books */
bool is_asked, is_answered, is_refused;
bool child_runs, job_works;

#define LIVES (keeper_has || message_has || supervisor_has || child_has || job_has)

active proctype keeper()
{
	keeper_has = true;
	do
	/* A copy, made while the keeper's own is open. */
	:: atomic { is_asked && !is_answered -> message_has = true; is_answered = true }
	:: break
	od;
	atomic { keeper_has = false; is_refused = !is_answered }
}

active proctype child()
{
	child_runs;
#ifndef BROKEN_QUERY
	child_has = false;
#endif
	if
	:: child_has = false /* the driver answers, and it ends */
	:: skip ->
end_hangs:
		false
	fi
}

active proctype job()
{
end_waits:
	job_works;
	if
	:: job_has = false
	:: skip
	fi;
	/* Here it works. */
	assert(LIVES);
	atomic { job_works = false; job_has = false }
}

active proctype supervisor()
{
	is_asked = true;
	if
	:: is_answered
	:: is_refused -> goto ended
	:: goto killed
	fi;
#ifndef BROKEN_JOIN
	atomic { message_has = false; supervisor_has = true };
#else
	message_has = false;
#endif
	if
	:: atomic { child_has = supervisor_has; child_runs = true }
	:: goto killed
	fi;
	if
	:: atomic { job_has = supervisor_has; job_works = true }
	:: goto killed
	fi;
#ifdef BROKEN_SUPERVISOR
	supervisor_has = false;
#endif
	!job_works;
killed:
	/* A closed socket gets no message. */
	supervisor_has = false;
	atomic {
		is_answered = true;
#ifndef BROKEN_MESSAGE
		message_has = false
#endif
	};
ended:
	skip
}

/* The rest of the machine goes on. */
active proctype others()
{
	bool tick;

	do
	:: tick = !tick
	od
}

ltl it_ends { <> [] !LIVES }
