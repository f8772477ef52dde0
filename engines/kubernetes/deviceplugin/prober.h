/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks for the machine, in a process of its own that was forked while there were no threads yet: a
 * driver that hangs keeps nobody else, and what it forks inherits no lock that a thread holds. A
 * worker waits for its answers.
 */
#ifndef DEVICEPLUGIN_PROBER_H
#define DEVICEPLUGIN_PROBER_H

#include "settings.h"
#include "worker.h"

#include <sys/types.h>

struct prober {
	const struct settings *settings;
	int socket; /* to the process; -1: there is none */
	pid_t process;
};

int prober_start(struct prober *prober, const struct settings *settings, gpualloc_error *error);

struct probing {
	struct job job;
	struct prober *prober;
	int64_t began_at;
	gpualloc_machine *machine; /* NULL: error says why */
	int text;                  /* a descriptor of the machine as text; -1: none */
	char *excluded;            /* "UUID REASON" lines: what the administrator took out of use */
	char *mistakes;            /* in gpualloc.conf */
	gpualloc_error *error;
	void *context; /* the caller's */
};

struct probing *probing_new(struct prober *prober);
void probing_free(struct probing *probing);
/* The job's work. */
void probing_work(struct job *job);

#endif
