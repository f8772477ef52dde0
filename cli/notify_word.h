/* SPDX-License-Identifier: Apache-2.0 */
/* What is said to a teller: one packet of a socket is one word. */
#ifndef CLI_NOTIFY_WORD_H
#define CLI_NOTIFY_WORD_H

#include <stdint.h>

enum notify_kind {
	NOTIFY_GOT = 1, /* ms: how long it waited */
	NOTIFY_RUNS,    /* as GOT, but nobody need be told */
	NOTIFY_GAVE_UP, /* ms: how long it waited */
	NOTIFY_ENDS,    /* ms: when, by ga_clock_awake_or_not_ms() */
	NOTIFY_ENDED,   /* ms: a status as from waitpid() */
};

/* The strings after GOT, RUNS and GAVE_UP, each with its NUL; "" is unknown. */
enum notify_field {
	NOTIFY_LEASE,
	NOTIFY_DEVICES, /* UUIDs */
	NOTIFY_COMMAND,
	NOTIFY_IDS, /* "GPU 0,1" */
	NOTIFY_FIELDS
};

struct notify_word {
	int32_t kind;
	int64_t ms;
};

/* The teller's descriptors. */
enum { TELLER_SOCKET = 3, TELLER_PIDFD = 4, NOTIFY_SIZE_MOST = 1 << 16 };

#endif
