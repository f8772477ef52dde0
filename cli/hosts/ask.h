/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks several hosts the same, side by side, with one deadline. Each host answers, or has a reason
 * why it did not; no host keeps the others from being heard. What comes back is bounded, and is not
 * believed before it has been parsed.
 */
#ifndef CLI_HOSTS_ASK_H
#define CLI_HOSTS_ASK_H

#include "buffer.h"
#include "hosts/request.h"
#include "hosts/ssh.h"
#include "text.h"

#include <jansson.h>

struct answer {
	const struct host *host;
	const char *out; /* what gpualloc there printed */
	size_t size;
	int status;       /* 0; its exit status; or 69 if it did not answer at all */
	char *reason;     /* why the status is not 0 */
	json_t *document; /* if one was asked for: its schema and command are checked */

	/* ---- while asking ---- */
	struct ga_buffer printed, errors;
	size_t sent;
	pid_t pid;
	int in, from_out, from_errors, ended;
};

struct question {
	const struct request *request;
	const char *command; /* whose document it answers with; NULL: text */
	int64_t deadline_ms; /* -1: none */
	const char *sockets; /* a folder for connections that stay; NULL: they do not */
	unsigned stay_s;
};

/* *ret_answers has one for each host, for answers_free(). Returns 0, or after a message the exit
 * status of what went wrong here. */
int ask(const struct hosts *hosts, const struct question *question, struct answer **ret_answers);
void answers_free(struct answer *answers, size_t count);

/* The socket of a host's connection in such a folder. */
enum { SOCKET_PATH = 108 };
void ask_socket(const char *sockets, const struct host *host, char path[static SOCKET_PATH]);

/* A document of a gpualloc: parsed, of a schema known here, from that command. NULL with a sentence
 * in *ret_wrong, for free(); that is NULL when out of memory. */
json_t *answer_parse(const char *text, size_t size, const char *command, char **ret_wrong);

/* The sentence in a line that a gpualloc wrote to standard error, for free(); NULL if it is none.
 */
char *answer_sentence(struct ga_view line, bool *ret_is_note);

/* Why there was no greeting before ssh ended with that status, for free(). */
char *answer_silence(const struct host *host, int status, struct ga_view errors);
/* That the gpualloc there is of another time, for free(). */
char *answer_other_protocol(int64_t protocol);

/* The rest of the text after the greeting, or NULL. *ret_protocol is its number; 0: none. */
const char *answer_after_greeting(const char *text, size_t size, int64_t *ret_protocol);

#endif
