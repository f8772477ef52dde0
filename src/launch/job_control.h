/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal between a shell, a supervisor and its job. To the shell the supervisor is the job:
 * when the job stops the supervisor stops, when the shell continues it the job goes on, and
 * whenever the supervisor would have the terminal the job has it.
 */
#ifndef GA_LAUNCH_JOB_CONTROL_H
#define GA_LAUNCH_JOB_CONTROL_H

#include <stdbool.h>
#include <sys/types.h>

/* Called with SIGTTOU blocked: who is in the background may then set the foreground, too. */
struct ga_terminal {
	int fd; /* the controlling terminal, -1 where there is none */
};

void ga_terminal_open(struct ga_terminal *terminal);
void ga_terminal_close(struct ga_terminal *terminal);
/* Whether this process's group has the terminal now. */
bool ga_terminal_is_ours(const struct ga_terminal *terminal);
void ga_terminal_give(const struct ga_terminal *terminal, pid_t group);
/* Takes it back from a group that need not exist any more, and from nobody else. */
void ga_terminal_take_back(const struct ga_terminal *terminal, pid_t group);

/*
 * The job's group was stopped by a signal: stops this process's group the same way, and when it
 * goes on, or where there is nobody who could continue it, lets the job go on.
 */
void ga_job_stopped(const struct ga_terminal *terminal, pid_t group, int signal);
/* This process was continued: so is the job, with the terminal if it is ours. */
void ga_job_continue(const struct ga_terminal *terminal, pid_t group);

#endif
