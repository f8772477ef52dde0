/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that may hang for ever (a sick driver) or may leave traces (a tool), done in a child with a
 * deadline. The child inherits three descriptors and nothing else: no lock of ours can outlive us
 * in it. It ends with the thread that waits for it. A child that the kernel does not let die is
 * left behind and never waited for.
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
	bool timed_out;          /* it was killed at the deadline; what it had written is there */
};

void ga_child_result_free(struct ga_child_result *result);
#define ga_auto_child ga_cleanup(ga_child_result_free)

/*
 * Runs work(context, 1) in a fork; what it returns is the exit status. At most limit bytes of
 * output are taken, and more is an error (GPUALLOC_EDATA). name appears in messages.
 */
int ga_child_call(const char *name, int (*work)(void *context, int out), void *context,
		  unsigned deadline_ms, size_t limit, struct ga_child_result *ret_result,
		  gpualloc_error *error);

/*
 * The same without waiting, for several side by side: its standard output is out, which the caller
 * reads and ga_child_stop() closes; its standard error is nowhere.
 */
struct ga_child {
	pid_t pid; /* 0: none runs */
	int out;
};
int ga_child_start(const char *name, int (*work)(void *context, int out), void *context,
		   struct ga_child *ret_child, gpualloc_error *error);
/*
 * Waits until that time (ga_clock_ms()) for it to end by itself, then kills it. The status as
 * above, -1 where the kernel does not let it die.
 */
int ga_child_stop(struct ga_child *child, int64_t until_ms);

/*
 * Runs a program without a shell, with LC_ALL=C and standard input empty; argv[0] is looked for in
 * PATH where it has no slash. A program that cannot be run ends with 126 or 127, as in a shell.
 */
/* In a child: becomes the program, or returns the status to end with. */
int ga_child_execute(const char *const argv[]);
int ga_child_run(const char *const argv[], unsigned deadline_ms, size_t limit,
		 struct ga_child_result *ret_result, gpualloc_error *error);

#endif
