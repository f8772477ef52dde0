/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job at the other end of `run --on`, in two sessions of one connection. The tether leases, says
 * so and waits for the word to go on; it hears from the client all the time, and when it does not,
 * it ends the job. The session has the user's terminal and runs the command; it gets the lease's
 * descriptor from the tether, through a socket without a name in any folder.
 */
#ifndef CLI_HOSTS_JOB_H
#define CLI_HOSTS_JOB_H

#include "command.h"
#include "hosts/request.h"

#include <stdint.h>

/*
 * What the two ends say to each other on the tether, in lines. The client: JOB_PING every few
 * seconds, JOB_GO once it was granted devices, JOB_SIGNAL and a number. The tether answers in JSON,
 * {"schema": 1, "event": ...}: "pong", "granted" with lease and words, "ready" with the token of
 * the session, "ended" with the command's status.
 */
#define JOB_PING "ping"
#define JOB_GO "go"
#define JOB_SIGNAL "signal "
enum { PING_MS = 15000, TOKEN_BYTES = 16, LINE_MOST = 4096 };

/* The options of run that have a meaning there. Returns 0, or after a message the exit status. */
int job_check(const struct call *call);

/* Both return the exit status. */
int job_tether(const struct call *call, const struct request *request);
int job_session(const struct call *call, const char *token);

/* Goes where the command is to run. Where that folder is only the client's, the home folder will
 * do. Returns 0, or after a message the exit status. */
int job_move_in(const struct request *request);

/* ---- between the two ---- */

/* What the tether sends before the request that the session carries out. */
struct job_order {
	int64_t limit_ms;
	bool has_lease; /* its descriptor comes with this */
	bool fenced;    /* the command goes behind a fence */
	bool quiet;
	bool json;
};

/* The socket's address, from the token; false if that is none. */
struct sockaddr_un;
bool job_address(const char *token, struct sockaddr_un *ret_address, unsigned *ret_size);
/* Whether the process at the other end is this user's; *ret_pid is its id. */
bool job_is_own(int fd, int *ret_pid);

#endif
