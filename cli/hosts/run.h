/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `run --on`: which host, and the command there as if it ran here. Hosts that are asked to lease
 * are contenders; at most one of them is told to go on.
 */
#ifndef CLI_HOSTS_RUN_H
#define CLI_HOSTS_RUN_H

#include "hosts/ask.h"

#include <poll.h>

/* Returns the command's exit status, or that of the failure. */
int run_on(const struct call *call, const struct hosts *hosts);

/* ---- a contender: the client's end of a tether ---- */

struct contender {
	const struct host *host;
	char control[108]; /* the socket that the session will go through; "": the user's own */
	pid_t pid;
	const struct ga_buffer *request;
	size_t sent;             /* of it */
	int in, out, err, ended; /* ended is a pidfd; -1: it has, or was never started */
	struct ga_buffer said, errors;
	char lease[64]; /* what it was granted */
	char *failure;  /* the error that gpualloc there has said, if it is wanted as a document */
	bool is_greeted;
	int64_t protocol; /* that of its greeting; 0: there was none */
	int64_t heard_at;
	int status; /* of ssh, once it has ended */
};

enum contender_event {
	CONTENDER_NOTHING,
	CONTENDER_GRANTED,
	CONTENDER_READY,
	CONTENDER_ENDED, /* the command has, with value as its status */
	CONTENDER_GONE /* the other end has, with value as its status; 69 if the connection was lost
			*/
};

struct contender_news {
	enum contender_event event;
	char words[1024]; /* what was granted; the token; why it has gone */
	int value;
};

/* The request is that of a job, and must stay until the contender is dropped. Returns 0 or an errno. */
int contender_start(struct contender *contender, const char *ssh, const struct ga_buffer *request);
/* Gives its descriptors to poll() after. fds has room for CONTENDER_FDS. */
enum { CONTENDER_FDS = 4 };
void contender_watch(const struct contender *contender, struct pollfd *fds);
/* What has happened since; call it until it says CONTENDER_NOTHING. */
void contender_hear(struct contender *contender, struct contender_news *ret_news);
void contender_say(const struct contender *contender, const char *line);
/* What it was granted, the other end gives back at once. */
void contender_hang_up(struct contender *contender);
/* Hangs up, and waits for ssh to end. */
void contender_drop(struct contender *contender);

#endif
