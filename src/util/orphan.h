/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that is nobody's child and has nothing of its maker's open but the first three
 * descriptors and what it is given: what it holds is its own, and what its maker holds ends with
 * that.
 */
#ifndef GA_UTIL_ORPHAN_H
#define GA_UTIL_ORPHAN_H

#include "error.h"

#include <stdbool.h>
#include <sys/types.h>

/* In the orphan the pipe to its maker; close-on-exec. */
enum { GA_ORPHAN_ANSWER = 3 };

/*
 * Runs work in an orphan that has, instead of that pipe, these descriptors as GA_ORPHAN_ANSWER and
 * the numbers after it, close-on-exec.
 */
int ga_orphan_start_with(int (*work)(void *context, const gpualloc_error *trouble), void *context,
			 const int *descriptors, int count, gpualloc_error *error);

/*
 * Runs work in an orphan; what it returns is the orphan's exit status. trouble is NULL, or says why
 * something may have stayed open: then work must hold nothing, only say so. *ret_from is the pipe's
 * other end.
 */
int ga_orphan_start(int (*work)(void *context, const gpualloc_error *trouble), void *context,
		    int *ret_from, gpualloc_error *error);

/*
 * An orphan that becomes another program hands the pipe on (0 or an errno), and that program says
 * there that it runs, which is the last that comes: to be executed is not enough, for what loads
 * programs can fail.
 */
enum { GA_ORPHAN_RUNS = 'k' };
int ga_orphan_hand_on(void);
bool ga_orphan_say_runs(void); /* false where nobody is there to hear it */

/* As read(), past interruptions. */
ssize_t ga_orphan_read(int from, void *data, size_t size);

#endif
