/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs work that may hang for ever (a sick driver) or leave traces (a tool) in a child with a
 * deadline. The child inherits three descriptors and nothing else, so none of our locks can outlive
 * us in it. It ends with the thread that waits for it. A child that the kernel does not let die is
 * left behind, and nobody waits for it.
 */
#ifndef GA_UTIL_CHILD_H
#define GA_UTIL_CHILD_H

#include "buffer.h"
#include "error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ga_child_result {
	struct ga_buffer output; /* what it wrote to standard output */
	struct ga_buffer errors; /* and to standard error */
	int exit_status;         /* 128 + signal when a signal ended it */
	bool timed_out;          /* it was killed at the deadline; what it wrote before is kept */
};

void ga_child_result_free(struct ga_child_result *result);
#define ga_auto_child ga_cleanup(ga_child_result_free)

/*
 * Runs work(context, 1) in a forked child; its return value is the exit status. More than limit
 * bytes of output are an error (GPUALLOC_EDATA). name appears in messages.
 */
int ga_child_call(const char *name, int (*work)(void *context, int out), void *context,
		  unsigned deadline_ms, size_t limit, struct ga_child_result *ret_result,
		  gpualloc_error *error);

/*
 * The same without waiting, so that several can run side by side. The caller reads its standard
 * output from out, which ga_child_stop() closes. Its standard error goes nowhere. It has a process
 * group of its own: what it starts, as a driver's library may, ends with it.
 */
struct ga_child {
	pid_t pid; /* 0: not running */
	int out;
};
int ga_child_start(const char *name, int (*work)(void *context, int out), void *context,
		   struct ga_child *ret_child, gpualloc_error *error);
/* Kills it and what it has started, without waiting; ga_child_stop() still has to follow. */
void ga_child_kill(const struct ga_child *child);
/*
 * Waits until that time (of ga_clock_ms()) for it to end by itself, then kills it; what it has
 * started is killed in either case. Returns the status as above, or -1 if the kernel does not let
 * it die.
 */
int ga_child_stop(struct ga_child *child, int64_t until_ms);

/*
 * Runs a program without a shell, with LC_ALL=C and standard input empty; argv[0] is looked up in
 * PATH if it has no slash. A program that cannot be run ends with 126 or 127, as in a shell.
 */
/* In a child: replaces it by the program, or returns the status to exit with. */
int ga_child_execute(const char *const argv[]);
int ga_child_run(const char *const argv[], unsigned deadline_ms, size_t limit,
		 struct ga_child_result *ret_result, gpualloc_error *error);

#endif
