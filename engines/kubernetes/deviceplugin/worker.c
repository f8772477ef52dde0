/* SPDX-License-Identifier: Apache-2.0 */
/* Two queues, and an eventfd for the way back; see worker.h. */
#include "worker.h"

#include "error.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void append(struct job **queue, struct job *job)
{
	while (*queue)
		queue = &(*queue)->next;
	job->next = NULL;
	*queue = job;
}

static struct job *take_first(struct job **queue)
{
	struct job *job = *queue;

	if (job)
		*queue = job->next;
	return job;
}

static void *work(void *context)
{
	struct worker *worker = context;

	for (;;) {
		struct job *job;

		(void)pthread_mutex_lock(&worker->lock);
		while (!worker->waiting)
			(void)pthread_cond_wait(&worker->more, &worker->lock);
		job = take_first(&worker->waiting);
		(void)pthread_mutex_unlock(&worker->lock);
		job->work(job);
		(void)pthread_mutex_lock(&worker->lock);
		append(&worker->finished, job);
		(void)pthread_mutex_unlock(&worker->lock);
		(void)eventfd_write(worker->watch.fd, 1);
	}
	return NULL;
}

static void collect(void *context, uint32_t events)
{
	struct worker *worker = context;
	struct job *job;
	eventfd_t count;

	(void)events;
	(void)eventfd_read(worker->watch.fd, &count);
	for (;;) {
		(void)pthread_mutex_lock(&worker->lock);
		job = take_first(&worker->finished);
		(void)pthread_mutex_unlock(&worker->lock);
		if (!job)
			return;
		job->done(job);
	}
}

int worker_start(struct worker *worker, struct loop *loop, gpualloc_error *error)
{
	sigset_t all, before;
	int result;

	*worker = (struct worker){
		.loop = loop, .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};
	worker->watch = (struct loop_watch){
		.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = collect, .context = worker};
	if (worker->watch.fd < 0 || loop_watch(loop, &worker->watch, EPOLLIN) < 0)
		return ga_error_errno(error, GPUALLOC_EIO, errno, "cannot make a worker");
	/* Signals are the loop's. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	result = pthread_create(&worker->thread, NULL, work, worker);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return result ? ga_error_errno(error, GPUALLOC_EIO, result, "cannot start a worker") : 0;
}

void worker_post(struct worker *worker, struct job *job)
{
	(void)pthread_mutex_lock(&worker->lock);
	append(&worker->waiting, job);
	(void)pthread_cond_signal(&worker->more);
	(void)pthread_mutex_unlock(&worker->lock);
}
