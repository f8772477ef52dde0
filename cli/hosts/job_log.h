/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that outlive their connection, and where their output goes: a file of the user's own, named
 * for the lease. It is locked for as long as anybody can write to it, so that its end can be seen.
 */
#ifndef CLI_HOSTS_JOB_LOG_H
#define CLI_HOSTS_JOB_LOG_H

#include "command.h"

#include <stdbool.h>
#include <stdint.h>

/* ~/.local/state/gpualloc/log, open. With make set it is made. -1 with errno. */
int job_log_folder(bool make);
/* Its name has only letters and digits. */
bool job_log_is_name(const char *name);
/* A new log, locked; -1 with errno. */
int job_log_create(const char *lease);
/* The status with which the command ended; -1 if it has not, or nobody wrote it down. */
int job_log_status(int folder, const char *lease);

/* A command that nobody's connection ends. Strings and lists are the caller's. */
struct kept_job {
	const char *lease;
	const char *path;
	char *const *words;
	char *const *variables; /* the lease's */
	int64_t limit_ms;
	const struct call *fenced; /* as run was called, if it goes behind a fence; else NULL */
};

/*
 * Starts it with the lease's descriptor. *ret_status is a pipe from which its status comes as an
 * int, *ret_pid its supervisor. Returns 0, or after a message the exit status.
 */
int job_log_start(struct kept_job *job, int lease, int *ret_status, int *ret_pid);

#endif
