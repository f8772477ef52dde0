/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's own ssh, with the user's configuration. It never asks for anything: a host that wants
 * a password has failed. What it runs there is fixed words that any shell takes as they are.
 */
#ifndef CLI_HOSTS_SSH_H
#define CLI_HOSTS_SSH_H

#include "hosts/hosts.h"

#include <sys/types.h>

/* Where ssh is, for free(). Returns 0, or after a message the exit status. */
int ssh_find(char **ret_path);

struct ssh {
	const char *path;
	const struct host *host;
	const char *token;   /* the only word after `remote` that there may be; NULL: none */
	const char *control; /* our own control socket; NULL: what the user's configuration says */
	bool is_master;      /* of that socket */
	unsigned persist_s;  /* becomes its master if there is none, who stays that long; 0: no */
	bool terminal;       /* the other end gets one */
	bool foreground; /* stays in our process group, to read our terminal; signals are ours */
	int in, out, err;
};

/* A folder of our own for sockets. Returns 0, or after a message the exit status. */
enum { SOCKETS_PATH = 64 };
int ssh_make_folder(char path[static SOCKETS_PATH]);

/* *ret_ended is a pidfd. Returns 0 or an errno. */
int ssh_start(const struct ssh *ssh, pid_t *ret_pid, int *ret_ended);

/* The same with pipes for its three descriptors: ssh->in, out and err become our ends of them, -1
 * if it failed. */
int ssh_start_piped(struct ssh *ssh, pid_t *ret_pid, int *ret_ended);

/* Whether the user keeps a connection to it open, as the configuration says. */
bool ssh_has_master(const char *path, const struct host *host);

/* Ends a master that stayed. */
void ssh_end_master(const char *path, const struct host *host, const char *control);

/* Waits for it; 128 + n for signal n. */
int ssh_status(pid_t pid);

/* Why ssh failed, from what it printed, in new memory; NULL when out of memory. */
char *ssh_reason(const char *printed, size_t size);

#endif
