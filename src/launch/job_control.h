/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal between a shell, a supervisor and its job. To the shell the supervisor is the job:
 * when the job stops, the supervisor stops; when the shell continues it, the job continues; and
 * whenever the supervisor would have the terminal, the job has it.
 */
#ifndef GA_LAUNCH_JOB_CONTROL_H
#define GA_LAUNCH_JOB_CONTROL_H

#include <stdbool.h>
#include <sys/types.h>

/* Call it with SIGTTOU blocked: then even a background process may set the foreground. */
struct ga_terminal {
	int fd; /* the controlling terminal; -1 if there is none */
};

void ga_terminal_open(struct ga_terminal *terminal);
void ga_terminal_close(struct ga_terminal *terminal);
/* Whether this process's group has the terminal now. */
bool ga_terminal_is_ours(const struct ga_terminal *terminal);
void ga_terminal_give(const struct ga_terminal *terminal, pid_t group);
/* Takes it back from that group, which may have ended, and from no other. */
void ga_terminal_take_back(const struct ga_terminal *terminal, pid_t group);

/*
 * The job's group was stopped by a signal: stops this process's group the same way. Once that
 * continues, or if nobody could continue it, lets the job continue.
 */
void ga_job_stopped(const struct ga_terminal *terminal, pid_t group, int signal);
/* This process was continued: continues the job too, with the terminal if it is ours. */
void ga_job_continue(const struct ga_terminal *terminal, pid_t group);

#endif
