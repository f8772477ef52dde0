/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread for work that may take its time (a driver, a lock), one job after the other. The loop
 * never waits for it: what is done comes back as an event.
 */
#ifndef DEVICEPLUGIN_WORKER_H
#define DEVICEPLUGIN_WORKER_H

#include "loop.h"

#include <pthread.h>

/* Part of whatever a job needs; it belongs to the worker from worker_post() until done(). */
struct job {
	void (*work)(struct job *job); /* in the thread */
	void (*done)(struct job *job); /* in the loop; may free it */
	struct job *next;
};

struct worker {
	struct loop *loop;
	struct loop_watch watch;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct job *waiting, *finished; /* oldest first */
};

int worker_start(struct worker *worker, struct loop *loop, gpualloc_error *error);
void worker_post(struct worker *worker, struct job *job);

#endif
