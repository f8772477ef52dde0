/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `gpualloc remote` is asked to do. It comes as data on its standard input, never in the
 * command line: ssh hands that to the user's login shell, and each shell has its own idea of
 * quotes. A line says how many bytes follow; they are words, each ended by NUL, which no argument,
 * variable or path can contain.
 */
#ifndef CLI_HOSTS_REQUEST_H
#define CLI_HOSTS_REQUEST_H

#include "buffer.h"

#include <stdint.h>

enum { REQUEST_PROTOCOL = 1, REQUEST_MOST = 4 << 20, REQUEST_WORDS_MOST = 1 << 18 };
/* The connection counts as lost after so long without a word. */
enum { SILENCE_S = 60 };

/* The first line of every answer: this, the protocol and the version. What comes before it, a login
 * shell's greeting say, is none of ours. */
#define REQUEST_GREETING "gpualloc-remote "

enum request_mode {
	REQUEST_ASK, /* run gpualloc once, with nothing on standard input */
	REQUEST_JOB  /* lease, and run a command in another session */
};

struct request {
	enum request_mode mode;
	const char *folder;
	bool must_exist; /* the folder */
	bool outlives;   /* the job goes on without the connection */
	bool is_unkept;  /* while waiting, nothing is kept for it */
	unsigned silence_s;
	const char *agent; /* on whose behalf is asked; NULL or "" if it is the user */
	char **variables; /* NAME=VALUE; NULL after the last */
	size_t variable_count;
	char **words; /* of gpualloc's command line, without its name; NULL after the last */
	size_t word_count;
	char *text; /* what all of these point into, where it was read */
};

void request_free(struct request *request);

void request_write(struct ga_buffer *text, const struct request *request);
/* Takes from fd not a byte more than the request has; NULL, or a sentence on what is wrong. */
const char *request_read_from(int fd, struct request *ret_request);

#endif
