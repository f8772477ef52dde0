/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claiming: three processes want parts of two devices at once, whole devices or one of the two
 * units of memory that a device has here, and one of them may be killed at any step. A lock is one step,
 * whatever its length, and never waits; a claim goes in order of the ledger and gives everything
 * back where one lock fails. Death gives back in one step all that a process had.
 *
 * Shown: nothing is ever granted twice, with the arbiter or without it; when all have ended nothing
 * is held; and, with the arbiter only, who is refused was refused because of a lease, not because
 * of another claim that failed in the end.
 *
 *   -DWITHOUT_ARBITER   nobody takes it, as when it could not be had: still no double grant
 *   -DBROKEN_LOOK       looks first and notes then, in two steps: double grant
 *   -DBROKEN_KEEP       a claim that fails keeps what it had got: others are refused for nothing
 *   -DBROKEN_REFUSAL    no arbiter, yet every refusal shall be because of a lease: it is not
 */
#define PROCESSES 3
#define NOBODY    255

#define DEVICE_0 3 /* its two units; 12 are those of the other device */
#define DEVICE_1 12

byte held[PROCESSES]; /* the kernel's books: the units that a process has locked */
byte used[PROCESSES]; /* the witness, outside them: what a process believes to have */
byte leased[PROCESSES]; /* what a lease is on, until the kernel's books are clear of it */
byte arbiter = NOBODY;
bool killed; /* process 0 */
byte ended;

#define others(what) (what[(_pid + 1) % PROCESSES] | what[(_pid + 2) % PROCESSES])

#if defined(WITHOUT_ARBITER) || defined(BROKEN_REFUSAL) || defined(BROKEN_LOOK)
#define ENTER skip
#define LEAVE skip
#else
#define ENTER atomic { arbiter == NOBODY -> arbiter = _pid }
#define LEAVE arbiter = NOBODY
#endif

/* One fcntl() on what is wanted of one device; broken: a look and an entry. */
inline lock(device)
{
#ifdef BROKEN_LOOK
	failed = failed || (want & device & others(held));
	d_step {
#else
	d_step {
		failed = failed || (want & device & others(held));
#endif
		by_lease = by_lease || (want & device & others(leased));
		held[_pid] = (failed -> held[_pid] : held[_pid] | (want & device))
	}
}

inline claim()
{
	ENTER;
	lock(DEVICE_0);
	lock(DEVICE_1);
	if
	:: failed ->
		d_step {
#if !defined(WITHOUT_ARBITER) && !defined(BROKEN_LOOK)
			assert(by_lease);
#endif
#ifndef BROKEN_KEEP
			held[_pid] = 0
#endif
		}
	:: else ->
		d_step {
			used[_pid] = want;
			leased[_pid] = want;
			assert(!(used[_pid] & others(used)))
		}
	fi;
	LEAVE
}

active [PROCESSES] proctype claimer()
{
	byte want;
	bool failed, by_lease;

	{
		if
		:: want = DEVICE_1
		:: want = DEVICE_0 | DEVICE_1
		:: want = 1
		:: want = 2 | 4
		fi;
		claim();
		/* Here it works. A release ends the use first, then unlocks. */
		used[_pid] = 0;
		if
		:: !failed -> atomic { held[_pid] = 0; leased[_pid] = 0 }
		:: else
		fi
	} unless { killed && _pid == 0 };

	atomic {
		used[_pid] = 0;
		held[_pid] = 0;
		leased[_pid] = 0;
		arbiter = (arbiter == _pid -> NOBODY : arbiter);
		ended++
	}
}

/* All are alike: it does not matter which of them it is. */
active proctype killer()
{
	killed = true
}

active proctype afterwards()
{
	ended == PROCESSES;
	assert(!(held[0] | held[1] | held[2]) && arbiter == NOBODY)
}
