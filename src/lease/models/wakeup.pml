/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waking up: when a holder ends, the kernel sends the close event first and drops the locks
 * afterwards, in two steps, with anything in between. The first waiter watches the ledger. The
 * second watches only the first one's ticket, until that is gone. The first may be killed while
 * it waits.
 *
 * Shown: the second waiter always gets the device. That is so because every sleep ends: since the
 * event comes before the unlock, no number of tries after an event is enough.
 *
 *   -DUNLOCK_FIRST                 an imagined kernel that drops the locks before it sends the event:
 *                                  then sleeps without a timeout would do. So the order matters
 *   -DBROKEN_TRIES=3               three tries after an event, then sleep until the next one
 *   -DBROKEN_TRIES=20              the same with twenty
 *   -DBROKEN_WATCH -DUNLOCK_FIRST  even in the imagined kernel: looks first and watches afterwards
 */
#if defined(UNLOCK_FIRST) && !defined(BROKEN_TRIES)
#define TRIES 1
#elif defined(BROKEN_TRIES)
#define TRIES BROKEN_TRIES
#else
#define TRIES 2
#define TIMED
#endif

bool device_held = true; /* by the holder, at first */
bool ticket_held = true; /* of the first waiter */
bool device_event, ticket_event; /* events for the watcher, until it looks */
bool device_watched, ticket_watched;
bool killed;
bool second_granted;

#ifdef UNLOCK_FIRST
#define END(what) what##_held = false; what##_event = what##_watched
#else
#define END(what) what##_event = what##_watched; what##_held = false
#endif

#ifdef BROKEN_WATCH
#define WATCH_BEFORE(what) skip
#define WATCH_AFTER(what) what##_watched = true
#else
#define WATCH_BEFORE(what) what##_watched = true
#define WATCH_AFTER(what) skip
#endif

#ifdef TIMED
#define SLEEP(what) if :: atomic { what##_event -> what##_event = false } :: true fi
#else
#define SLEEP(what) atomic { what##_event -> what##_event = false }
#endif

active proctype holder()
{
	END(device)
}

/* Tries, sleeps, and after each sleep tries a few times. */
inline await_device()
{
	WATCH_BEFORE(device);
	tries = 1;
	do
	:: atomic { !device_held -> device_held = true; has_device = true; break }
	:: device_held ->
		tries--;
		if
		:: tries == 0 -> WATCH_AFTER(device); SLEEP(device); tries = TRIES
		:: else
		fi
	od
}

/* Looks whether the one in front is still there; sleeps as above. */
inline await_turn()
{
	WATCH_BEFORE(ticket);
	tries = 1;
	do
	:: !ticket_held -> break
	:: ticket_held ->
		tries--;
		if
		:: tries == 0 -> WATCH_AFTER(ticket); SLEEP(ticket); tries = TRIES
		:: else
		fi
	od
}

active proctype first()
{
	byte tries;
	bool has_device;

	{
		await_device()
	} unless { killed };

	/*
	 * Granted or killed: sooner or later the ticket goes, and so does what it had of the
	 * device.
	 */
	device_watched = false;
	END(ticket);
	if
	:: has_device -> END(device)
	:: else
	fi
}

active proctype second()
{
	byte tries;
	bool has_device;

	await_turn();
	await_device();
	second_granted = true
}

active proctype killer()
{
	if
	:: killed = true
	:: skip
	fi
}

ltl live { <> second_granted }
