/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claiming: three processes want parts of two devices at once: whole devices, or one of the two
 * units of memory that a device has here. One of them may be killed at any step. A lock is one
 * step, whatever its length, and never waits. A claim follows the order of the ledger and gives
 * everything back if one lock fails. Death gives back in one step everything that a process had.
 *
 * Shown: nothing is ever granted twice, with the arbiter or without it; when all have ended
 * nothing is held; and, with the arbiter only, every refusal is because of a lease, not because
 * of another claim that failed in the end.
 *
 *   -DWITHOUT_ARBITER   nobody takes the arbiter, as when it stays locked: still no double grant
 *   -DBROKEN_LOOK       looks first and notes afterwards, in two steps: double grant
 *   -DBROKEN_KEEP       a failed claim keeps what it had got: others are refused for nothing
 *   -DBROKEN_REFUSAL    no arbiter, yet every refusal must be because of a lease: it is not
 */
#define PROCESSES 3
#define NOBODY    255

#define DEVICE_0 3 /* its two units; 12 is the other device's two */
#define DEVICE_1 12

byte held[PROCESSES]; /* the kernel's books: the units that each process has locked */
byte used[PROCESSES]; /* the witness, apart from them: what each process believes it has */
byte leased[PROCESSES]; /* what leases are on, until the kernel's books no longer show it */
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

/* One fcntl() for what it wants of one device; broken: a look, then an entry. */
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

/* All are alike, so it does not matter which one this is. */
active proctype killer()
{
	killed = true
}

active proctype afterwards()
{
	ended == PROCESSES;
	assert(!(held[0] | held[1] | held[2]) && arbiter == NOBODY)
}
