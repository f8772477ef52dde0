/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --notify PROGRAM: somebody is told when devices were got, when the command has ended, when a hold
 * is about to end. Telling is the work of a process of its own, the teller: nobody's child, outside
 * the lease, with nothing open but a socket to its maker and a descriptor for its maker's end. So
 * the job runs as it would without, never waits for the program, and its end is seen even if it is
 * killed.
 */
#ifndef CLI_NOTIFY_H
#define CLI_NOTIFY_H

#include "command.h"

#include <stdint.h>

/* The hidden first word that tells gpualloc, when executed again, that it is a teller. */
#define TELLER_WORD "--tell"

/* The way to the teller. Without --notify there is none, and all calls do nothing. */
struct notify {
	int to; /* close-on-exec; -1: none */
	int64_t since;
};
#define NOTIFY_NONE ((struct notify){.to = -1})

/*
 * Starts the teller of this process, which must not have a lease yet. Returns 0, or after a message
 * the exit status of the failure.
 */
int notify_begin(const struct call *call, struct notify *ret_notify);
/* Closes the way; if nothing was told, the teller ends without a word. */
void notify_end(struct notify *notify);

/*
 * Devices were got, and whoever they are for begins: the command of these words, or a hold if they
 * are NULL. for_ms is how long it may have them; 0: as long as it likes. Returns 0, or after a
 * message the exit status of the failure.
 */
int notify_lease(const struct notify *notify, const gpualloc_lease *lease, char *const *words,
		 int64_t for_ms);
int notify_choice(const struct notify *notify, const gpualloc_choice *choice, char *const *words,
		  int64_t for_ms);
/* The command begins in the lease that the environment names; nobody need be told of that. */
void notify_joined(const struct notify *notify, char *const *words, int64_t for_ms);
/* Waiting was in vain. */
void notify_gave_up(const struct notify *notify, char *const *words);
/* The command has ended, with a status as from waitpid(). */
void notify_ended(const struct notify *notify, int status);
/* The hold ends at that time, by ga_clock_awake_or_not_ms(). */
void notify_ends(int to, int64_t at);

/* The teller itself, `gpualloc --tell run|hold PROGRAM MILLISECONDS PID`. Returns the exit status. */
int teller_main(char *const *words);

#endif
